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
  const auto step =
      std::accumulate(shape.begin() + axis + 1, shape.end(), int64_t{1}, std::multiplies());
  for (int64_t i : shown(shape, axis)) {
    if (i != kGap) collect(shape, axis + 1, data + i * step, elements);
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

// A number as digits, among them the point of a real one, and an exponent or nothing.
struct Word {
  std::string digits, exponent;

  size_t point() const { return std::min(digits.find('.'), digits.size()); }
};

// The shown numbers as words of one width with the points below each other, laid out.
template <class T, class WordOf>
std::string print(const Shape& shape, const std::vector<T>& numbers, const WordOf& word_of) {
  std::vector<Word> words;
  size_t fraction = 0, width = 0;  // the most characters from the point on, and of a whole word
  for (T x : numbers) {
    words.push_back(word_of(x));
    fraction = std::max(fraction, words.back().digits.size() - words.back().point());
  }
  std::vector<std::string> texts;
  for (Word& word : words) {
    if (word.point() < word.digits.size()) {
      word.digits.resize(word.point() + fraction, word.exponent.empty() ? ' ' : '0');
    }
    texts.push_back(word.digits + word.exponent);
    width = std::max(width, texts.back().size());
  }
  for (std::string& text : texts) text.insert(0, width - text.size(), ' ');
  const std::string* first = texts.data();
  return texts.empty() ? "[]" : lay_out(shape, 0, first);
}

// The fewest digits that give x back when read, or x rounded to `precision` digits after the point
// where those are fewer.
Word word_of(real x, std::chars_format format, int precision) {
  if (!std::isfinite(x)) return {std::isnan(x) ? "nan" : x > 0 ? "inf" : "-inf", ""};
  char text[128];
  const auto cut = [&](char* end) {
    char* exponent = std::find(text, end, 'e');
    const bool whole = std::find(text, exponent, '.') == exponent;
    return Word{std::string(text, exponent) + (whole ? "." : ""), std::string(exponent, end)};
  };
  Word word = cut(std::to_chars(text, std::end(text), x, format).ptr);
  if (word.digits.size() > word.point() + 1 + size_t(precision)) {
    word = cut(std::to_chars(text, std::end(text), x, format, precision).ptr);
    word.digits.resize(word.digits.find_last_not_of('0') + 1);
  }
  return word;
}

}  // namespace

std::string to_string(const Tensor& tensor, int precision) {
  std::vector<real> numbers;
  collect(tensor.shape(), 0, tensor.data(), numbers);
  real largest = 0, smallest = INFINITY;  // sizes of the finite numbers that are not zero
  for (real x : numbers) {
    if (!std::isfinite(x) || x == 0) continue;
    largest = std::max(largest, std::abs(x)), smallest = std::min(smallest, std::abs(x));
  }
  const bool scientific =
      largest > 0 && (largest >= 1e8 || smallest < 1e-4 || largest / smallest > 1000);
  const auto format = scientific ? std::chars_format::scientific : std::chars_format::fixed;
  return print(tensor.shape(), numbers, [&](real x) { return word_of(x, format, precision); });
}

std::string to_string(const Indices& indices) {
  std::vector<int32_t> numbers;
  collect(indices.shape(), 0, indices.data(), numbers);
  return print(indices.shape(), numbers, [](int32_t n) { return Word{std::to_string(n), ""}; });
}

}  // namespace kindling
