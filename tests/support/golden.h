// Golden files: reference outputs that a script in tests/golden/ wrote with PyTorch. A line is one
// array: its name, its shape and its elements with 9 digits, enough for a float's every bit.
//   adam/w/3 [2, 2] 0.1 -0.25 3 1e-08
// Lines that begin with # are comments. The writer is tests/golden/golden.py.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tensor/tensor.h"

class Golden {
 public:
  explicit Golden(const std::string& path);  // throws Error, with the line, for a malformed file

  // By name; throws Error when the file has no such array.
  kindling::Tensor tensor(const std::string& name) const;
  kindling::Indices indices(const std::string& name) const;  // whole numbers
  bool has(const std::string& name) const { return arrays_.contains(name); }
  std::vector<std::string> names(const std::string& prefix = "") const;  // sorted

 private:
  struct Array {
    kindling::Shape shape;
    std::vector<double> values;
  };
  const Array& array(const std::string& name) const;

  std::string path_;
  std::map<std::string, Array> arrays_;
};

// max|got - want| / max|want|; infinite when shapes differ or an element is not finite.
double relative_error(const kindling::Tensor& got, const kindling::Tensor& want);
