// Printing the way NumPy does: first every shown element becomes a word, all words of one width,
// then the words are laid out between brackets. Page: docs/tensor.md
#include <charconv>

#include "tensor/tensor.h"

namespace kindling {
namespace {

constexpr int64_t kMostElements = 1000;  // a tensor with more is shown by its edges
constexpr int64_t kEdge = 3;
constexpr size_t kLineWidth = 75;

// What next_word(i) gives for each element i that is shown, in order, between brackets; blocks of
// more dimensions are set apart by more empty lines, and a row that is too long goes on in the next
// line, indented. `i` is where the block that is laid out, of the dimensions from `axis` on, begins
// in blocks of its size.
template <class NextWord>
std::string lay_out(const Shape& shape, const NextWord& next_word, int axis = 0, int64_t at = 0) {
  if (axis == shape.rank()) return next_word(at);
  const bool edges_only = shape.elements() > kMostElements && shape[axis] > 2 * kEdge;
  const std::string indent(size_t(axis) + 1, ' ');
  const auto lines = size_t(shape.rank() - axis - 1);
  std::string done, row;
  for (int64_t i = 0; i < shape[axis]; ++i) {
    const bool gap = edges_only && i == kEdge;
    if (gap) i = shape[axis] - kEdge - 1;
    const std::string next =
        gap ? "..." : lay_out(shape, next_word, axis + 1, at * shape[axis] + i);
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

// The elements that are shown.
template <class T> std::vector<T> shown(const Dense<T>& x) {
  std::vector<T> elements;
  const T* data = x.data();
  lay_out(x.shape(), [&](int64_t i) {
    elements.push_back(data[i]);
    return "";
  });
  return elements;
}

// The words of the shown elements brought to one width and laid out.
std::string print(const Shape& shape, const std::vector<std::string>& words) {
  if (words.empty()) return "[]";
  size_t width = 0;
  for (const std::string& word : words) width = std::max(width, word.size());
  auto next = words.begin();
  return lay_out(shape, [&](int64_t) { return fmt::format("{:>{}}", *next++, width); });
}

// A finite number in digits: those before the point, the point and those after it, "e+08" or
// nothing. For the others `whole` is their name.
struct Word {
  std::string whole, fraction, exponent;
};

// The fewest digits that give x back when read, or x rounded to `precision` digits after the point
// where those are fewer.
Word word_of(real x, std::chars_format format, int precision) {
  if (!std::isfinite(x)) return {std::isnan(x) ? "nan" : x > 0 ? "inf" : "-inf", "", ""};
  char text[128];
  const auto cut = [&](char* end) {
    char *exponent = std::find(text, end, 'e'), *point = std::find(text, exponent, '.');
    return Word{
        {text, point}, point == exponent ? "." : std::string(point, exponent), {exponent, end}};
  };
  Word word = cut(std::to_chars(text, std::end(text), x, format).ptr);
  if (word.fraction.size() > 1 + size_t(precision)) {
    word = cut(std::to_chars(text, std::end(text), x, format, precision).ptr);
    word.fraction.resize(word.fraction.find_last_not_of('0') + 1);
  }
  return word;
}

}  // namespace

std::string Shape::str() const {
  std::string text;
  for (int32_t size : *this) text += (text.empty() ? "" : ", ") + std::to_string(size);
  return "[" + text + "]";
}

std::string to_string(const Tensor& tensor, int precision) {
  const std::vector<real> numbers = shown(tensor);
  real largest = 0, smallest = INFINITY;  // sizes of the finite numbers that are not zero
  for (real x : numbers) {
    if (!std::isfinite(x) || x == 0) continue;
    largest = std::max(largest, std::abs(x)), smallest = std::min(smallest, std::abs(x));
  }
  const bool scientific =
      largest > 0 && (largest >= 1e8 || smallest < 1e-4 || largest / smallest > 1000);
  const auto format = scientific ? std::chars_format::scientific : std::chars_format::fixed;
  std::vector<Word> words;
  for (real x : numbers) words.push_back(word_of(x, format, precision));
  size_t longest = 0;  // of the fractions, which are brought to one length
  for (const Word& word : words) longest = std::max(longest, word.fraction.size());
  std::vector<std::string> texts;
  for (Word& word : words) {  // what is not finite has no fraction
    if (!word.fraction.empty()) word.fraction.resize(longest, scientific ? '0' : ' ');
    texts.push_back(word.whole + word.fraction + word.exponent);
  }
  return print(tensor.shape(), texts);
}

std::string to_string(const Indices& indices) {
  std::vector<std::string> words;
  for (int32_t n : shown(indices)) words.push_back(std::to_string(n));
  return print(indices.shape(), words);
}

}  // namespace kindling

fmt::appender fmt::formatter<kindling::Shape>::format(const kindling::Shape& shape,
                                                      format_context& context) const {
  return format_to(context.out(), "{}", shape.str());
}
