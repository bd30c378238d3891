// A shape as text. Page: docs/tensor.md
#include "tensor/shape.h"

namespace kindling {

std::string Shape::str() const {
  std::string text;
  for (int32_t size : *this) text += (text.empty() ? "" : ", ") + std::to_string(size);
  return "[" + text + "]";
}

}  // namespace kindling

fmt::appender fmt::formatter<kindling::Shape>::format(const kindling::Shape& shape,
                                                      format_context& context) const {
  const std::string text = shape.str();
  return std::copy(text.begin(), text.end(), context.out());
}
