// Printing the way NumPy does: first every shown element becomes a word, all words of one width,
// then the words are laid out between brackets. Page: docs/tensor.md
#include "tensor/print.h"

#include <charconv>

namespace kindling {
namespace {

constexpr int64_t kMostElements = 1000;  // a tensor with more is shown by its edges
constexpr int64_t kEdge = 3, kGap = -1;
constexpr size_t kLineWidth = 75;

// Positions of an axis that are shown, with kGap where some are left out.
std::vector<int64_t> shown(const Shape& shape, int axis) {
  const bool edges_only = shape.elements() > kMostElements && shape[axis] > 2 * kEdge;
  std::vector<int64_t> positions;
  for (int64_t i = 0; i < shape[axis]; ++i) {
    if (edges_only && i == kEdge) positions.push_back(kGap), i = shape[axis] - kEdge;
    positions.push_back(i);
  }
  return positions;
}

// The elements that are shown, in order.
template <class T>
void collect(const Shape& shape, int axis, const T* data, std::vector<T>& elements) {
  if (axis == shape.rank()) return elements.push_back(*data);
  for (int64_t i : shown(shape, axis)) {
    if (i != kGap) collect(shape, axis + 1, data + i * strides_of(shape)[size_t(axis)], elements);
  }
}

// The words from *word on between brackets; blocks of more dimensions are set apart by more empty
// lines, and a row that is too long goes on in the next line, indented.
std::string lay_out(const Shape& shape, int axis, const std::string*& word) {
  if (axis == shape.rank()) return *word++;
  const std::string indent(size_t(axis) + 1, ' ');
  const auto lines = size_t(shape.rank() - axis - 1);
  std::string done, row;
  for (int64_t i : shown(shape, axis)) {
    const std::string next = i == kGap ? "..." : lay_out(shape, axis + 1, word);
    const bool full = lines == 0 && row.size() + 1 + next.size() > kLineWidth - 2 * indent.size();
    if (!row.empty() && (lines > 0 || full)) {
      done += row.substr(0, row.find_last_not_of(' ') + 1);
      done += std::string(std::max<size_t>(lines, 1), '\n') + indent;
      row.clear();
    }
    row += (row.empty() ? "" : " ") + next;
  }
  return "[" + done + row + "]";
}

std::string lay_out(const Shape& shape, const std::vector<std::string>& words) {
  const std::string* word = words.data();
  return shape.elements() == 0 ? "[]" : lay_out(shape, 0, word);
}

// A number cut after the digits before the point, those behind it, and the exponent.
struct Parts {
  std::string whole, fraction, exponent;
};

// The fewest digits that give a finite x back when read, or x rounded to `precision` digits after
// the point where those are fewer.
Parts parts_of(real x, std::chars_format format, int precision) {
  char text[128];
  const auto cut = [&](char* end) {
    const std::string number(text, end), mantissa = number.substr(0, number.find('e'));
    const size_t point = std::min(mantissa.find('.'), mantissa.size());
    return Parts{mantissa.substr(0, point), mantissa.substr(std::min(point + 1, mantissa.size())),
                 number.substr(mantissa.size())};
  };
  Parts parts = cut(std::to_chars(text, std::end(text), x, format).ptr);
  if (int(parts.fraction.size()) > precision) {
    parts = cut(std::to_chars(text, std::end(text), x, format, precision).ptr);
    parts.fraction.resize(parts.fraction.find_last_not_of('0') + 1);
  }
  return parts;
}

// Numbers as words, with the points below each other.
std::vector<std::string> words_of(const std::vector<real>& numbers, int precision) {
  real largest = 0, smallest = INFINITY;  // sizes of the finite numbers that are not zero
  for (real x : numbers) {
    if (!std::isfinite(x) || x == 0) continue;
    largest = std::max(largest, std::abs(x));
    smallest = std::min(smallest, std::abs(x));
  }
  const bool scientific =
      largest > 0 && (largest >= 1e8 || smallest < 1e-4 || largest / smallest > 1000);
  const auto format = scientific ? std::chars_format::scientific : std::chars_format::fixed;

  std::vector<Parts> parts;
  for (real x : numbers) {
    if (std::isfinite(x)) parts.push_back(parts_of(x, format, precision));
  }
  size_t whole = 0, fraction = 0;  // the most digits before and after the point
  for (const Parts& p : parts) {
    whole = std::max(whole, p.whole.size()), fraction = std::max(fraction, p.fraction.size());
  }
  std::vector<std::string> words;
  for (auto p = parts.begin(); real x : numbers) {
    if (!std::isfinite(x)) {
      words.push_back(std::isnan(x) ? "nan" : x > 0 ? "inf" : "-inf");
      continue;
    }
    p->fraction.resize(fraction, scientific ? '0' : ' ');
    words.push_back(fmt::format("{:>{}}.{}{}", p->whole, whole, p->fraction, p->exponent)), ++p;
  }
  return words;
}

template <class T, class Words>
std::string print(const Shape& shape, const T* data, const Words& words_of_numbers) {
  std::vector<T> numbers;
  collect(shape, 0, data, numbers);
  std::vector<std::string> words = words_of_numbers(numbers);
  size_t width = 0;
  for (const std::string& word : words) width = std::max(width, word.size());
  for (std::string& word : words) word.insert(0, width - word.size(), ' ');
  return lay_out(shape, words);
}

}  // namespace

std::string to_string(const Tensor& tensor, int precision) {
  return print(tensor.shape(), tensor.data(),
               [&](const auto& numbers) { return words_of(numbers, precision); });
}

std::string to_string(const Indices& indices) {
  return print(indices.shape(), indices.data(), [](const auto& numbers) {
    std::vector<std::string> words;
    for (int32_t n : numbers) words.push_back(std::to_string(n));
    return words;
  });
}

}  // namespace kindling
