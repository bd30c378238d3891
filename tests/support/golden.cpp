// Reading golden files. See golden.h.
#include "support/golden.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <sstream>

#include "base/check.h"

using namespace kindling;

Golden::Golden(const std::string& path) : path_(path) {
  std::ifstream file(path);
  ENSURE(file, "golden: cannot read {}. Tests run from the root of the repository", path);
  int number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    if (line.empty() || line[0] == '#') continue;
    const size_t open = line.find(" ["), close = line.find(']');
    ENSURE(open != std::string::npos && close != std::string::npos && open < close,
           "golden: {}:{}: expected 'name [shape] values'", path, number);
    std::string sizes_text = line.substr(open + 2, close - open - 2);
    std::replace(sizes_text.begin(), sizes_text.end(), ',', ' ');
    std::istringstream size_stream(sizes_text), values(line.substr(close + 1));
    std::vector<int64_t> sizes;
    for (int64_t size; size_stream >> size;) sizes.push_back(size);
    Array array{Shape(sizes), {}};
    // Not `>> double`, which refuses "inf" and "nan".
    for (std::string word; values >> word;) array.values.push_back(std::stod(word));
    ENSURE(int64_t(array.values.size()) == array.shape.elements(),
           "golden: {}:{}: {} values for shape {}", path, number, array.values.size(), array.shape);
    ENSURE(arrays_.emplace(line.substr(0, open), std::move(array)).second,
           "golden: {}:{}: this name appears twice", path, number);
  }
}

const Golden::Array& Golden::array(const std::string& name) const {
  const auto found = arrays_.find(name);
  ENSURE(found != arrays_.end(), "golden: {} has no array {}", path_, name);
  return found->second;
}

Tensor Golden::tensor(const std::string& name) const {
  const Array& a = array(name);
  return Tensor(a.shape, a.values);
}

Indices Golden::indices(const std::string& name) const {
  const Array& a = array(name);
  return Indices(a.shape, std::vector<int32_t>(a.values.begin(), a.values.end()));
}

std::vector<std::string> Golden::names(const std::string& prefix) const {
  std::vector<std::string> found;
  for (const auto& entry : arrays_) {
    if (entry.first.starts_with(prefix)) found.push_back(entry.first);
  }
  return found;
}

double relative_error(const Tensor& got, const Tensor& want) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (got.shape() != want.shape()) return kInfinity;
  double error = 0, scale = 0;
  for (int64_t i = 0; i < got.size(); ++i) {
    const double difference = std::abs(double(got.data()[i]) - double(want.data()[i]));
    if (!std::isfinite(difference)) return kInfinity;
    error = std::max(error, difference);
    scale = std::max(scale, std::abs(double(want.data()[i])));
  }
  if (error == 0) return 0;
  return error / scale;
}
