// MNIST and Fashion-MNIST: where their files lie, and how to get them. Later lessons load them with
// this, too. Page: docs/data.md
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "kindling.h"

namespace lesson02 {

inline const std::vector<std::string> kDigits = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
inline const std::vector<std::string> kClothes = {"T-shirt", "trouser",   "pullover", "dress",
                                                  "coat",    "sandal",    "shirt",    "sneaker",
                                                  "bag",     "ankle boot"};

// The first folder that holds training images; if none does, the one where the set should be.
inline std::string folder_of(const std::string& name) {
  const char* data = std::getenv("KINDLING_DATA");
  const std::string first = fmt::format("{}/{}", data ? data : "datasets", name);
  for (const std::string& folder : {first, "datasets/" + name, "/usr/share/datasets/" + name}) {
    const std::string images = folder + "/train-images-idx3-ubyte";
    if (std::filesystem::exists(images) || std::filesystem::exists(images + ".gz")) return folder;
  }
  return first;
}

// "fashion-mnist" or "mnist": train and test, scaled by the training set's mean and deviation.
// Looks in `folder` if given, otherwise in $KINDLING_DATA/NAME, datasets/NAME and (Fashion-MNIST)
// the Debian package's folder. Throws DataMissing with the command that fetches the set.
inline kindling::ImageData load_mnist(const std::string& name, const std::string& folder = "") {
  using namespace kindling;
  const bool fashion = name == "fashion-mnist";
  ENSURE(fashion || name == "mnist", "load_mnist: '{}' is neither mnist nor fashion-mnist", name);
  const std::string where = folder.empty() ? folder_of(name) : folder;
  const auto remedy = fmt::format(". Run: make data-{}   ({} MB)", name, fashion ? 30 : 11);
  const auto read = [&](const std::string& file) {
    const std::filesystem::path path = std::filesystem::path(where) / file;
    if (!exists(path) && !exists(std::filesystem::path(path) += ".gz")) {
      throw DataMissing(fmt::format("{}: {}.gz not found in {}{}", name, file, where, remedy));
    }
    return read_idx(path);
  };
  const auto load = [&](const std::string& part) {
    IdxFile images = read(part + "-images-idx3-ubyte");
    const IdxFile labels = read(part + "-labels-idx1-ubyte");
    ENSURE(
        images.shape.rank() == 3 && labels.shape == Shape{images.shape[0]} && labels.shape[0] > 0,
        "{}: the {} files in {} do not fit: images {}, labels {}", name, part, where, images.shape,
        labels.shape);
    return ImageSet({.name = name,
                     .image = {images.shape[1], images.shape[2], 1},
                     .bytes = std::move(images.bytes),
                     .labels = {labels.bytes.begin(), labels.bytes.end()},
                     .classes = fashion ? kClothes : kDigits});
  };
  try {
    ImageSet train = load("train"), test = load("t10k");
    return scaled(std::move(train), std::move(test));
  } catch (const DataMissing&) {
    throw;
  } catch (const Error& e) {
    throw Error(e.what() + remedy);
  }
}

}  // namespace lesson02
