// Printing the way NumPy does: first every shown element becomes a word, all words of one width,
// then the words are laid out between brackets. Page: docs/tensor.md
#include "io/print.h"

#include <charconv>

namespace kindling {
namespace {

constexpr int64_t kMostElements = 1000;  // a tensor with more is shown by its edges
constexpr int64_t kEdge = 3;
constexpr size_t kLineWidth = 75;

// The text of element i, one of those that are shown.
using WordOf = std::function<std::string(int64_t i)>;

// What word(i) gives for each element i that is shown, in order, between brackets; blocks of more
// dimensions are set apart by more empty lines, and a row that is too long goes on in the next
// line, indented. `at` is where the block that is laid out, of the dimensions from `axis` on,
// begins in blocks of its size.
std::string lay_out(const Shape& shape, const WordOf& word, int axis = 0, int64_t at = 0) {
  if (axis == shape.rank()) return word(at);
  const bool edges_only = shape.elements() > kMostElements && shape[axis] > 2 * kEdge;
  const std::string indent(size_t(axis) + 1, ' ');
  const auto lines = size_t(shape.rank() - axis - 1);
  std::string done, row;
  for (int64_t i = 0; i < shape[axis]; ++i) {
    const bool gap = edges_only && i == kEdge;
    if (gap) i = shape[axis] - kEdge - 1;
    const std::string next = gap ? "..." : lay_out(shape, word, axis + 1, at * shape[axis] + i);
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

void for_each_shown(const Shape& shape, const std::function<void(int64_t i)>& visit) {
  lay_out(shape, [&](int64_t i) {
    visit(i);
    return "";
  });
}

// Words brought to one width and laid out.
std::string print(const Shape& shape, const WordOf& word) {
  if (shape.elements() == 0) return "[]";
  size_t width = 0;
  for_each_shown(shape, [&](int64_t i) { width = std::max(width, word(i).size()); });
  return lay_out(shape, [&](int64_t i) { return fmt::format("{:>{}}", word(i), width); });
}

// A finite number in digits: those before the point, the point and those after it, "e+08" or
// nothing. For the others `whole` is their name.
struct Word {
  std::string whole, fraction, exponent;
};

// The fewest digits that give x back when read, or x rounded to `precision` digits after the point
// where those are fewer; with `all`, that many in any case.
Word word_of(real x, std::chars_format format, int precision, bool all = false) {
  if (!std::isfinite(x)) return {std::isnan(x) ? "nan" : x > 0 ? "inf" : "-inf", "", ""};
  char text[128];
  const auto cut = [&](char* end) {
    char *exponent = std::find(text, end, 'e'), *point = std::find(text, exponent, '.');
    return Word{
        {text, point}, point == exponent ? "." : std::string(point, exponent), {exponent, end}};
  };
  Word word = cut(std::to_chars(text, std::end(text), x, format).ptr);
  if (all || word.fraction.size() > 1 + size_t(precision)) {
    word = cut(std::to_chars(text, std::end(text), x, format, precision).ptr);
    if (!all) word.fraction.resize(word.fraction.find_last_not_of('0') + 1);
  }
  return word;
}

}  // namespace

std::string to_string(const Tensor& tensor, int precision) {
  const Shape& shape = tensor.shape();
  const real* x = tensor.data();
  real most = 0, least = INFINITY;  // sizes of the finite numbers that are not zero
  for_each_shown(shape, [&](int64_t i) {
    if (!std::isfinite(x[i]) || x[i] == 0) return;
    most = std::max(most, std::abs(x[i])), least = std::min(least, std::abs(x[i]));
  });
  const bool scientific = most > 0 && (most >= 1e8 || least < 1e-4 || most / least > 1000);
  const auto format = scientific ? std::chars_format::scientific : std::chars_format::fixed;
  size_t fraction = 0;  // the longest
  for_each_shown(shape, [&](int64_t i) {
    fraction = std::max(fraction, word_of(x[i], format, precision).fraction.size());
  });
  return print(shape, [&](int64_t i) {
    // Fractions are brought to one length, by digits or by blanks; what is not finite has none.
    Word word = word_of(x[i], format, scientific ? int(fraction) - 1 : precision, scientific);
    if (!word.fraction.empty()) word.fraction.resize(fraction, ' ');
    return word.whole + word.fraction + word.exponent;
  });
}

std::string to_string(const Indices& indices) {
  return print(indices.shape(), [&](int64_t i) { return std::to_string(indices[i]); });
}

}  // namespace kindling
