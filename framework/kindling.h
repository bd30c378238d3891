// The whole framework, in the order of framework/ORDER: the one include of a lesson. What is not
// named here is included by what is.
#pragma once

// clang-format off
#include "nn/layers.h"
#include "data/idx.h"
#include "io/file.h"
#include "io/graphviz.h"
#include "io/print.h"
#include "io/safetensors.h"
#include "train/profile.h"
#include "train/trainer.h"
