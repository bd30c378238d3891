// Printing the way NumPy does: first every shown element becomes a word, all words of one width,
// then the words are laid out between brackets. Page: docs/tensor.md
#include "tensor/print.h"

#include <charconv>

namespace kindling {
namespace {

constexpr int64_t kMostElements = 1000;  // a tensor with more is shown by its edges
constexpr int64_t kEdge = 3;
constexpr size_t kLineWidth = 75;
constexpr int64_t kGap = -1;

// Positions of an axis of size n that are shown, with kGap where some are left out.
std::vector<int64_t> shown(int64_t n, bool edges_only) {
  std::vector<int64_t> positions;
  for (int64_t i = 0; i < n; ++i) {
    if (edges_only && n > 2 * kEdge && i == kEdge) {
      positions.push_back(kGap);
      i = n - kEdge;
    }
    positions.push_back(i);
  }
  return positions;
}

// The elements that are shown, in order.
template <class T>
void collect(const Shape& shape, int axis, const T* data, std::vector<T>& elements) {
  if (axis == shape.rank()) return elements.push_back(*data);
  int64_t step = 1;
  for (int i = axis + 1; i < shape.rank(); ++i) step *= shape[i];
  for (int64_t i : shown(shape[axis], shape.elements() > kMostElements)) {
    if (i != kGap) collect(shape, axis + 1, data + i * step, elements);
  }
}

// Puts words between brackets; a row that is too long goes on in the next line, indented.
class Layout {
 public:
  Layout(const Shape& shape, const std::vector<std::string>& words)
      : shape_(shape), word_(words.begin()) {}

  std::string text(int axis = 0) {
    if (axis == shape_.rank()) return *word_++;
    return "[" + (axis + 1 == shape_.rank() ? row() : block(axis)) + "]";
  }

 private:
  std::vector<int64_t> positions(int axis) const {
    return shown(shape_[axis], shape_.elements() > kMostElements);
  }

  std::string row() {
    const std::string indent(size_t(shape_.rank()), ' ');
    const size_t width = kLineWidth - indent.size();  // leaves room for the closing brackets
    std::string done, line = indent;
    for (int64_t i : positions(shape_.rank() - 1)) {
      const std::string word = i == kGap ? "..." : *word_++;
      if (line.size() > indent.size() && line.size() + 1 + word.size() > width) {
        done += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
        line = indent;
      }
      line += (line.size() > indent.size() ? " " : "") + word;
    }
    return (done + line).substr(indent.size());
  }

  // Blocks of more dimensions are set apart by more empty lines.
  std::string block(int axis) {
    const std::string indent(size_t(axis) + 1, ' ');
    std::string all;
    for (int64_t i : positions(axis)) {
      if (!all.empty()) all += std::string(size_t(shape_.rank() - axis - 1), '\n') + indent;
      all += i == kGap ? "..." : text(axis + 1);
    }
    return all;
  }

  Shape shape_;
  std::vector<std::string>::const_iterator word_;
};

std::string lay_out(const Shape& shape, const std::vector<std::string>& words) {
  return shape.elements() == 0 ? "[]" : Layout(shape, words).text();
}

// A number cut after the digits before the point, those behind it, and the exponent.
struct Parts {
  std::string whole, fraction, exponent;
};

// The fewest digits that give a finite x back when read, or x rounded to `precision` digits after
// the point where those are fewer.
Parts parts_of(real x, std::chars_format format, int precision) {
  char text[128];
  const auto cut = [&](std::to_chars_result written) {
    const std::string number(text, written.ptr), mantissa = number.substr(0, number.find('e'));
    const size_t point = std::min(mantissa.find('.'), mantissa.size());
    return Parts{mantissa.substr(0, point), mantissa.substr(std::min(point + 1, mantissa.size())),
                 number.substr(mantissa.size())};
  };
  Parts parts = cut(std::to_chars(text, std::end(text), x, format));
  if (int(parts.fraction.size()) > precision) {
    parts = cut(std::to_chars(text, std::end(text), x, format, precision));
    parts.fraction.resize(parts.fraction.find_last_not_of('0') + 1);
  }
  return parts;
}

// Numbers as words of one width, with the points below each other.
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

  size_t whole = 0, fraction = 0;  // the most digits before and after the point
  std::vector<Parts> parts;        // of the finite numbers
  for (real x : numbers) {
    if (!std::isfinite(x)) continue;
    parts.push_back(parts_of(x, format, precision));
    whole = std::max(whole, parts.back().whole.size());
    fraction = std::max(fraction, parts.back().fraction.size());
  }
  std::vector<std::string> words;
  size_t width = 0, next = 0;
  for (real x : numbers) {
    if (std::isfinite(x)) {
      Parts& p = parts[next++];
      p.fraction.resize(fraction, scientific ? '0' : ' ');
      words.push_back(fmt::format("{:>{}}.{}{}", p.whole, whole, p.fraction, p.exponent));
    } else {
      words.push_back(std::isnan(x) ? "nan" : x > 0 ? "inf" : "-inf");
    }
    width = std::max(width, words.back().size());
  }
  for (std::string& word : words) word.insert(0, width - word.size(), ' ');
  return words;
}

}  // namespace

std::string to_string(const Tensor& tensor, int precision) {
  std::vector<real> numbers;
  collect(tensor.shape(), 0, tensor.data(), numbers);
  return lay_out(tensor.shape(), words_of(numbers, precision));
}

std::string to_string(const Indices& indices) {
  std::vector<int32_t> numbers;
  collect(indices.shape(), 0, indices.data(), numbers);
  size_t width = 0;
  for (int32_t n : numbers) width = std::max(width, std::to_string(n).size());
  std::vector<std::string> words;
  for (int32_t n : numbers) words.push_back(fmt::format("{:>{}}", n, width));
  return lay_out(indices.shape(), words);
}

}  // namespace kindling
