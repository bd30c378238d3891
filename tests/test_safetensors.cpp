// Tests of framework/io/safetensors: every type, every damage, writing in one step, weights.
#include "io/safetensors.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>

#include "nn/layers.h"
#include "support/catch.h"
#include "support/command.h"
#include "support/golden.h"

using namespace kindling;
namespace fs = std::filesystem;

namespace {

std::string with_size(const std::string& header, const std::string& data = "") {
  const uint64_t size = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &size, 8);
  return bytes + header + data;
}

// A header with one F32 tensor "w" of shape [2]; `entry` replaces what it says of it.
std::string one(const std::string& entry) {
  return with_size("{\"w\":" + entry + "}", std::string(8, '\0'));
}

// The message of the error that reading these bytes gives, without the file's name.
std::string error_of(const std::string& bytes) {
  TempFolder folder;
  const std::string path = (folder.path() / "x.safetensors").string();
  write_text(path, bytes);
  try {
    read_safetensors(path);
  } catch (const Error& e) {
    const std::string message = e.what();
    REQUIRE(message.starts_with(path + ": "));
    CHECK(message.find('\n') == std::string::npos);
    return message.substr(path.size() + 2);
  }
  return "";
}

std::vector<real> reals(const TensorFile& file, const std::string& name) {
  const auto values = std::get<Tensor>(file.at(name)).values();
  return {values.begin(), values.end()};
}

std::vector<int32_t> wholes(const TensorFile& file, const std::string& name) {
  const auto values = std::get<Indices>(file.at(name)).values();
  return {values.begin(), values.end()};
}

const Shape& shape_of(const TensorFile& file, const std::string& name) {
  return std::get<Tensor>(file.at(name)).shape();
}

constexpr real kInfinity = std::numeric_limits<real>::infinity();

// The one tensor of a file with these 16-bit elements.
std::vector<real> read_16_bit(const std::string& dtype, const std::vector<uint16_t>& bits) {
  TempFolder folder;
  const std::string path = (folder.path() / "x").string();
  std::string data(2 * bits.size(), '\0');
  std::memcpy(data.data(), bits.data(), data.size());
  write_text(path, with_size(fmt::format("{{\"w\":{{\"dtype\":\"{}\",\"shape\":[{}],"
                                         "\"data_offsets\":[0,{}]}}}}",
                                         dtype, bits.size(), data.size()),
                             data));
  return reals(read_safetensors(path), "w");
}

}  // namespace

TEST_CASE("a file written by another program is read", "[safetensors]") {
  const TensorFile file = read_safetensors("tests/golden/small.safetensors");
  REQUIRE(file.size() == 11);
  CHECK(shape_of(file, "f32") == Shape{2, 3});
  CHECK(reals(file, "f32") ==
        std::vector<real>{0, 1, real(-2.5), real(3e38f), real(1e-45f), kInfinity});
  CHECK(reals(file, "f64") == std::vector<real>{real(0.1), real(-1e300 * 1e-290)});
  CHECK(shape_of(file, "f16") == Shape{2, 4});
  CHECK(reals(file, "f16") == std::vector<real>{1, -2, 65504, real(std::ldexp(1, -14)),
                                                real(std::ldexp(1, -24)), 0, kInfinity,
                                                -kInfinity});
  CHECK(std::signbit(reals(file, "f16")[5]));
  CHECK(reals(file, "bf16") == std::vector<real>{1, -3, std::bit_cast<float>(0x7F7F0000),
                                                 std::bit_cast<float>(0x00010000)});
  CHECK(wholes(file, "i64") ==
        std::vector<int32_t>{-1, 2147483647, std::numeric_limits<int32_t>::min()});
  CHECK(wholes(file, "i32") == std::vector<int32_t>{7, -8});
  CHECK(wholes(file, "u8") == std::vector<int32_t>{0, 200, 255});
  CHECK(std::get<std::vector<uint64_t>>(file.at("u64")) == std::vector<uint64_t>{~uint64_t{0}, 5});
  CHECK(shape_of(file, "scalar") == Shape{});
  CHECK(reals(file, "scalar") == std::vector<real>{42});
  CHECK(shape_of(file, "empty") == Shape{0, 5});
  CHECK(wholes(file, "größe.☃") == std::vector<int32_t>{9});
  CHECK_FALSE(file.contains("__metadata__"));
}

TEST_CASE("all 16-bit numbers are converted exactly", "[safetensors]") {
  std::vector<uint16_t> bits(65536);
  for (size_t i = 0; i < bits.size(); ++i) bits[i] = uint16_t(i);
  const std::vector<real> half = read_16_bit("F16", bits), brain = read_16_bit("BF16", bits);
  int wrong = 0;
  for (size_t i = 0; i < bits.size(); ++i) {
    const int exponent = int(i >> 10 & 31), fraction = int(i & 1023);
    // A half is sign * 2^(max(exponent, 1) - 15) * (fraction / 1024, plus 1 unless exponent is 0).
    const double size =
        std::exp2(std::max(exponent, 1) - 15) * (fraction / 1024.0 + (exponent > 0));
    const double expected = i >> 15 ? -size : size;
    const bool right = exponent < 31   ? half[i] == real(expected)
                       : fraction == 0 ? half[i] == (i >> 15 ? -kInfinity : kInfinity)
                                       : std::isnan(half[i]);
    const float top = std::bit_cast<float>(uint32_t(i) << 16);
    wrong += !right;
    wrong += !(brain[i] == top || (std::isnan(brain[i]) && std::isnan(top)));
  }
  CHECK(wrong == 0);
}

TEST_CASE("what is written is read again, bit for bit", "[safetensors]") {
  TempFolder folder;
  const std::string path = (folder.path() / "x.safetensors").string();
  Random random(1);
  TensorFile file;
  file = {{"b", normal({3, 4}, random)},
          {"a", Indices({2, 2}, std::vector<int32_t>{1, -2, 3, 2147483647})},
          {"counters", Words{~uint64_t{0}, 3}},
          {"none", Tensor(Shape{0})},
          {"one", scalar(-0.0)}};
  write_safetensors(path, file);
  const TensorFile again = read_safetensors(path);
  REQUIRE(again.size() == 5);
  CHECK(shape_of(again, "b") == Shape{3, 4});
  CHECK(reals(again, "b") == reals(file, "b"));
  CHECK(wholes(again, "a") == wholes(file, "a"));
  CHECK(std::get<Indices>(again.at("a")).shape() == Shape{2, 2});
  CHECK(std::get<std::vector<uint64_t>>(again.at("counters")) ==
        std::vector<uint64_t>{~uint64_t{0}, 3});
  CHECK(shape_of(again, "none") == Shape{0});
  CHECK(std::signbit(reals(again, "one")[0]));

  const std::string bytes = read_text(path);
  uint64_t header_size = 0;
  std::memcpy(&header_size, bytes.data(), 8);
  CHECK(header_size % 8 == 0);
  CHECK(bytes[8] == '{');

  write_safetensors(path, {});
  CHECK(read_safetensors(path).empty());
}

TEST_CASE("a safetensors file cut anywhere is an error", "[safetensors]") {
  const std::string whole = read_text("tests/golden/small.safetensors");
  for (size_t length = 0; length < whole.size(); ++length) {
    INFO("cut to " << length);
    REQUIRE_THAT(error_of(whole.substr(0, length)), ContainsSubstring("truncated"));
  }
  CHECK(error_of(whole).empty());
}

TEST_CASE("a header of an impossible size is an error", "[safetensors]") {
  const std::string whole = one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})");
  CHECK(error_of(whole).empty());
  std::string huge = whole;
  huge.replace(0, 8, 8, '\xff');
  CHECK_THAT(error_of(huge), ContainsSubstring("a header of 18446744073709551615 bytes"));
  std::string past = whole;
  past[0] = char(past.size() - 7);
  CHECK_THAT(error_of(past), ContainsSubstring("truncated or no safetensors file"));
  std::string shorter = whole;
  shorter[0] = char(shorter[0] - 1);
  CHECK_THAT(error_of(shorter), ContainsSubstring("not a JSON object in UTF-8"));
  CHECK_THAT(error_of(with_size("")), ContainsSubstring("a header of 0 bytes in a file of 8"));
  CHECK_THAT(error_of(with_size("[1, 2]")),
             ContainsSubstring("in UTF-8: it is a list at byte 6, after \"[1, 2]\""));
  CHECK_THAT(error_of(with_size("{\"w\": 1e999}")),
             ContainsSubstring("not a JSON object in UTF-8"));
  CHECK_THAT(error_of(with_size(std::string(100000, '['))),
             ContainsSubstring("not a JSON object in UTF-8"));
}

TEST_CASE("tensors that overlap, leave holes or pass the end are errors", "[safetensors]") {
  const auto two = [](const std::string& first, const std::string& second, size_t bytes) {
    return with_size(fmt::format(R"({{"a":{{"dtype":"U8","shape":[4],"data_offsets":{}}},)"
                                 R"("b":{{"dtype":"U8","shape":[4],"data_offsets":{}}}}})",
                                 first, second),
                     std::string(bytes, '\0'));
  };
  CHECK(error_of(two("[0,4]", "[4,8]", 8)).empty());
  CHECK(error_of(two("[4,8]", "[0,4]", 8)).empty());
  CHECK_THAT(
      error_of(two("[0,4]", "[3,7]", 7)),
      Equals("tensor \"b\": it begins at byte 3, the tensor before it ends at 4: they overlap"));
  CHECK_THAT(error_of(two("[0,4]", "[0,4]", 4)), ContainsSubstring("they overlap"));
  CHECK_THAT(error_of(two("[0,4]", "[6,10]", 10)),
             Equals("tensor \"b\": it begins at byte 6, the tensor before it ends at 4: a hole"));
  CHECK_THAT(
      error_of(two("[1,5]", "[5,9]", 9)),
      ContainsSubstring("\"a\": it begins at byte 1, the tensor before it ends at 0: a hole"));
  CHECK_THAT(error_of(two("[0,4]", "[4,8]", 7)),
             Equals("tensor \"b\": truncated: it ends at byte 8, the file has 7 after its header"));
  CHECK_THAT(error_of(two("[0,4]", "[4,8]", 11)),
             Equals("too long: 3 bytes after the last tensor"));
  const std::string far = "[9223372036854775800,9223372036854775804]";
  CHECK_THAT(error_of(two("[0,4]", far, 8)), ContainsSubstring("hole"));
}

TEST_CASE("entries that make no sense are errors", "[safetensors]") {
  const auto entry = [](const std::string& dtype, const std::string& shape,
                        const std::string& offsets) {
    return one("{\"dtype\":" + dtype + ",\"shape\":" + shape + ",\"data_offsets\":" + offsets +
               "}");
  };
  CHECK(error_of(entry("\"F32\"", "[2]", "[0,8]")).empty());
  CHECK_THAT(
      error_of(entry("\"F8_E4M3\"", "[2]", "[0,8]")),
      Equals("tensor \"w\": dtype \"F8_E4M3\" is not read; F32 F16 BF16 F64 I64 I32 U8 U64 are"));
  CHECK_THAT(error_of(entry("4", "[2]", "[0,8]")), ContainsSubstring("it has no dtype"));
  CHECK_THAT(error_of(entry("\"F32\"", "[3]", "[0,8]")),
             Equals("tensor \"w\": F32 [3] takes 12 bytes, its data_offsets give 8"));
  CHECK_THAT(error_of(entry("\"F32\"", "[2]", "[8,0]")), ContainsSubstring("no range"));
  CHECK_THAT(error_of(entry("\"F32\"", "[2]", "[-8,0]")), ContainsSubstring("no range"));
  CHECK_THAT(error_of(entry("\"F32\"", "[2]", "[0,8,8]")), ContainsSubstring("no range"));
  CHECK_THAT(error_of(entry("\"F32\"", "[2.0]", "[0,8]")), ContainsSubstring("its shape is not"));
  CHECK_THAT(error_of(entry("\"F32\"", "[-2]", "[0,8]")), ContainsSubstring("its shape is not"));
  CHECK_THAT(error_of(entry("\"F32\"", "2", "[0,8]")), ContainsSubstring("its shape is not"));
  CHECK_THAT(error_of(entry("\"F32\"", "[2]", "\"all\"")),
             ContainsSubstring("its data_offsets are no range"));
  CHECK_THAT(error_of(one("5")), ContainsSubstring("data_offsets are no range"));
  CHECK_THAT(error_of(one("{\"shape\":[2],\"data_offsets\":[0,8]}")),
             ContainsSubstring("it has no dtype"));
  CHECK_THAT(error_of(one("{\"dtype\":\"F32\",\"data_offsets\":[0,8]}")),
             ContainsSubstring("shape is not"));
}

TEST_CASE("huge shapes allocate nothing", "[safetensors]") {
  const auto with = [](const std::string& shape) {
    return one("{\"dtype\":\"F32\",\"shape\":" + shape + ",\"data_offsets\":[0,8]}");
  };
  CHECK_THAT(error_of(with("[2000000000,100]")), ContainsSubstring("takes 800000000000 bytes"));
  CHECK_THAT(error_of(with("[4294967296]")), ContainsSubstring("tensor \"w\": shape: a dimension"));
  CHECK_THAT(error_of(with("[9223372036854775807]")), ContainsSubstring("tensor \"w\": shape"));
  CHECK_THAT(error_of(with("[9223372036854775808]")), ContainsSubstring("too big integer"));
  CHECK_THAT(error_of(with("[2000000000,2000000000,2000000000]")),
             ContainsSubstring("more elements"));
  CHECK_THAT(error_of(with("[0,2000000000,2000000000,2000000000]")),
             ContainsSubstring("more elements"));
  CHECK_THAT(error_of(with("[1,1,1,1,1,1,2]")), ContainsSubstring("7 dimensions"));
}

TEST_CASE("a header nested deeply, or larger than any, is an error", "[safetensors]") {
  const std::string open(200000, '['), close(200000, ']');
  for (const char* key : {"shape", "dtype", "data_offsets"}) {
    std::string fields = R"("shape":[],"dtype":"F32","data_offsets":[0,4])";
    const size_t at = fields.find(key) + std::string(key).size() + 2;
    fields.replace(at, std::min(fields.find(",\"", at), fields.size()) - at, open + close);
    CHECK_THAT(error_of(with_size("{\"w\":{" + fields + "}}", "1234")),
               ContainsSubstring("maximum parsing depth reached"));
  }
  TempFolder folder;
  const std::string path = (folder.path() / "large").string();
  write_text(path, std::string("\0\0\0\0\x80\0\0\0", 8));
  std::filesystem::resize_file(path, uint64_t{1} << 40);  // takes no room on the disk
  CHECK_THROWS_WITH(read_safetensors(path), ContainsSubstring("a header of 549755813888 bytes"));
}

TEST_CASE("names that are not UTF-8 or appear twice are errors", "[safetensors]") {
  const auto entry = [](const std::string& name, int begin) {
    return fmt::format(R"("{}":{{"dtype":"U8","shape":[2],"data_offsets":[{},{}]}})", name, begin,
                       begin + 2);
  };
  CHECK(error_of(with_size("{" + entry("a", 0) + "," + entry("b", 2) + "}", "1234")).empty());
  for (int begin : {0, 2}) {
    CHECK_THAT(error_of(with_size("{" + entry("a", 0) + "," + entry("a", begin) + "}", "1234")),
               ContainsSubstring("duplicate object key at byte "));
  }
  const std::string name = "encoder.layer.0.attention.self.query.weight";
  CHECK_THAT(error_of(with_size("{" + entry(name, 0) + "," + entry(name, 2) + "}", "1234")),
             Catch::Matchers::EndsWith(name + "\\\"\""));
  // What is quoted cannot move a terminal's cursor.
  CHECK_THAT(error_of(with_size("{\x1b[2J}")), ContainsSubstring("\\x1b"));
  for (const char* bad : {"\xff", "\xc3(", "\xe2\x98", "\xed\xa0\x80", "\xc0\xaf"}) {
    CHECK_THAT(error_of(with_size("{" + entry("a" + std::string(bad), 0) + "}", "12")),
               ContainsSubstring("not a JSON object in UTF-8"));
  }
}

TEST_CASE("numbers that do not fit are errors", "[safetensors]") {
  const auto with = [](const std::string& dtype, auto value) {
    std::string data(8, '\0');
    std::memcpy(data.data(), &value, 8);
    return with_size("{\"w\":{\"dtype\":\"" + dtype + "\",\"shape\":[1],\"data_offsets\":[0,8]}}",
                     data);
  };
  CHECK(error_of(with("I64", int64_t{2147483647})).empty());
  CHECK_THAT(error_of(with("I64", int64_t{2147483648})),
             Equals("tensor \"w\": 2147483648 does not fit 32 bits"));
  CHECK_THAT(error_of(with("I64", int64_t{-2147483649})),
             ContainsSubstring("-2147483649 does not fit"));
  CHECK(error_of(with("F64", 1e38)).empty());
  CHECK(error_of(with("F64", std::numeric_limits<double>::infinity())).empty());
  CHECK_THAT(error_of(with("F64", -1e300)), Equals("tensor \"w\": -1e+300 does not fit float"));
}

TEST_CASE("a file that is not there or cannot be written is an error", "[safetensors]") {
  TempFolder folder;
  CHECK_THROWS_WITH(read_safetensors("nowhere.safetensors"),
                    Equals("nowhere.safetensors: no such file"));
  CHECK_THROWS_WITH(read_safetensors(folder.path().string()), ContainsSubstring("no such file"));
  CHECK_THROWS_WITH(write_safetensors("nowhere/x.safetensors", {}),
                    Equals("nowhere/x.safetensors: cannot be written: No such file or directory"));
}

TEST_CASE("tensors that cannot be written leave the old file", "[safetensors]") {
  TempFolder folder;
  const std::string path = (folder.path() / "x").string();
  write_safetensors(path, TensorFile{{"a", scalar(1)}});
  const std::string before = read_text(path);
  CHECK_THROWS_WITH(write_safetensors(path, TensorFile{{"\xff", scalar(1)}}),
                    Equals(path + ": a name in it is not UTF-8"));
  CHECK_THROWS_WITH(write_safetensors(path, TensorFile{{std::string("a\0b", 3), scalar(1)}}),
                    Equals(path + ": a tensor's name holds a zero byte"));
  CHECK_THROWS_WITH(write_safetensors(path, TensorFile{{"__metadata__", scalar(1)}}),
                    ContainsSubstring("which is reserved"));
  CHECK(read_text(path) == before);
  TensorFile twice;
  CHECK_THROWS_WITH(
      add_tensors(twice, "m.", {{"a", scalar(1), Kind::other}, {"a", scalar(2), Kind::other}}),
      Equals("safetensors: two tensors are named m.a"));
}

TEST_CASE("weights are saved and loaded by name", "[safetensors]") {
  TempFolder folder;
  const std::string path = (folder.path() / "x").string();
  Random random(1);
  Sequential saved{Linear(3, 4, random), LayerNorm(4), Linear(4, 2, random, false)};
  Sequential loaded{Linear(3, 4, random), LayerNorm(4), Linear(4, 2, random, false)};
  save_weights(saved, path);
  load_weights(loaded, path);
  const auto a = parameters(saved), b = parameters(loaded);
  REQUIRE(a.size() == 5);
  for (size_t i = 0; i < a.size(); ++i) {
    CHECK(read_safetensors(path).contains(a[i].name));
    CHECK(std::ranges::equal(a[i].tensor.values(), b[i].tensor.values()));
    CHECK(a[i].tensor.data() != b[i].tensor.data());
    CHECK(b[i].tensor.requires_grad());
  }
}

TEST_CASE("weights that do not fit are listed together and change nothing", "[safetensors]") {
  TempFolder folder;
  const std::string path = (folder.path() / "x").string();
  Random random(1);
  Sequential saved{Linear(3, 4, random), Linear(4, 2, random)};
  save_weights(saved, path);
  Sequential other{Linear(3, 4, random, false), Linear(4, 3, random), LayerNorm(3)};
  const std::vector<real> before(parameters(other)[0].tensor.values().begin(),
                                 parameters(other)[0].tensor.values().end());
  CHECK_THROWS_WITH(load_weights(other, path),
                    Equals(path + ": does not fit: 2 different (1.bias is F32 [2], expected F32 "
                                  "[3], 1.weight is F32 [2, 4], expected F32 [3, 4]); "
                                  "2 missing (2.bias, 2.weight); 1 unexpected (0.bias)"));
  CHECK(std::ranges::equal(parameters(other)[0].tensor.values(), before));

  write_safetensors(path, TensorFile{{"weight", Indices{1, 2}}, {"bias", Words{1}}});
  Linear one(2, 1, random);
  CHECK_THROWS_WITH(
      load_weights(one, path),
      ContainsSubstring(
          "bias is U64 [1], expected F32 [1], weight is I64 [2], expected F32 [1, 2]"));

  TensorFile many;
  for (int i = 0; i < 20; ++i) many[fmt::format("t{:02}", i)] = scalar(0);
  write_safetensors(path, many);
  CHECK_THROWS_WITH(load_weights(one, path), ContainsSubstring("20 unexpected (t00, t01, t02"));
}

TEST_CASE("a batch norm that PyTorch saved counts its batches in whole numbers", "[safetensors]") {
  TempFolder folder;
  const std::string path = (folder.path() / "x").string();
  TensorFile file = {{"weight", full({2}, 3)},
                     {"bias", full({2}, 4)},
                     {"running_mean", full({2}, 5)},
                     {"running_var", full({2}, 6)},
                     {"num_batches_tracked", Indices(Shape{}, std::vector<int32_t>{70'000})}};
  write_safetensors(path, file);
  BatchNorm norm(2);
  load_torch_weights(norm, path);
  CHECK(norm.weight.at({1}) == 3);
  CHECK(norm.running_var.at({1}) == 6);
  CHECK(norm.num_batches_tracked.item() == 70'000);
  CHECK_THROWS_WITH(load_weights(norm, path),
                    ContainsSubstring("num_batches_tracked is I64 [], expected F32 []"));
  file["running_var"] = Indices(Shape{3});
  write_safetensors(path, file);
  CHECK_THROWS_WITH(load_torch_weights(norm, path),
                    ContainsSubstring("running_var is F32 [3], expected F32 [2]"));
}

TEST_CASE("a network that PyTorch saved gives PyTorch's answers", "[safetensors][golden]") {
  Random random(1);
  const auto make = [&] {
    return Sequential{Conv2d(2, 4, 5, {.padding = 2}, random),
                      Activation(relu),
                      MaxPool2d({2}),
                      Conv2d(4, 6, 3, {.stride = 2, .groups = 2}, random),
                      Activation(relu),
                      Conv2d(6, 6, 3, {.padding = 1, .groups = 6}, random, false),
                      Flatten(),
                      Linear({3, 2, 6}, 10, random),
                      Activation(relu),
                      Linear(10, 5, random)};
  };
  Sequential model = make();
  const Golden golden("tests/golden/lenet.txt");
  const std::string path = "tests/golden/lenet.safetensors";
  load_torch_weights(model, path);
  // Five layers whose sums have up to 50 terms in float.
  CHECK(relative_error(model(golden.tensor("images")), golden.tensor("logits")) < 1e-5);

  // What it holds now is saved in our own order, and PyTorch's is refused where it looks different.
  TempFolder folder;
  const std::string own = (folder.path() / "x").string();
  save_weights(model, own);
  Sequential again = make();
  load_weights(again, own);
  CHECK(relative_error(again(golden.tensor("images")), golden.tensor("logits")) < 1e-5);
  CHECK_THROWS_WITH(load_weights(model, path),
                    ContainsSubstring("0.weight is F32 [4, 2, 5, 5], expected F32 [4, 5, 5, 2]"));
  CHECK_THROWS_WITH(load_torch_weights(model, own),
                    ContainsSubstring("5.weight is F32 [6, 3, 3, 1], expected F32 [6, 1, 3, 3]"));
}
