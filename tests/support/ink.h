// How much of a picture is drawn, for tests of SVG files. Needs rsvg-convert.
#pragma once
#include <stb/stb_image.h>

#include "io/file.h"
#include "support/catch.h"
#include "support/command.h"

// The dark pixels of what librsvg makes of an SVG file.
inline int dark_pixels(const std::string& svg) {
  const TempFolder folder;
  kindling::write_file((folder.path() / "chart.svg").string(), svg);
  const auto run =
      run_command("cd " + folder.path().string() + " && rsvg-convert chart.svg -o chart.png");
  INFO(run.output << svg);
  CHECK(run.code == 0);
  const std::string png = read_text(folder.path() / "chart.png");
  int width = 0, height = 0, channels = 0;
  unsigned char* pixels =
      stbi_load_from_memory(reinterpret_cast<const unsigned char*>(png.data()),
                            static_cast<int>(png.size()), &width, &height, &channels, 3);
  REQUIRE(pixels != nullptr);
  int dark = 0;
  for (int i = 0; i < width * height; ++i) dark += pixels[3 * i] < 128;
  stbi_image_free(pixels);
  return dark;
}
