// OpenBLAS and BLIS, whose sgemm_ have one name and so are opened, not linked.
#include <dlfcn.h>

#include "batch.h"

using namespace kindling::bench;

namespace {

using Sgemm = void (*)(const char*, const char*, const int*, const int*, const int*, const float*,
                       const float*, const int*, const float*, const int*, const float*, float*,
                       const int*);

struct Library {
  std::string name;
  void* handle = nullptr;

  template <class F> F find(const char* symbol) const {
    return handle ? reinterpret_cast<F>(dlsym(handle, symbol)) : nullptr;
  }
};

Library open(const char* name, std::vector<std::string> files) {
  for (const std::string& file : files) {
    if (void* handle = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL)) return {name, handle};
  }
  return {name};
}

// The OpenBLAS on OpenMP comes first: the one on threads of its own does one batched product at a
// time.
const std::vector<Library>& libraries() {
  static const std::vector<Library> all = {
      open("openblas",
           {"/usr/lib/x86_64-linux-gnu/openblas-openmp/libopenblas.so.0",
            "/usr/lib/aarch64-linux-gnu/openblas-openmp/libopenblas.so.0", "libopenblas.so.0"}),
      open("blis", {"libblis.so.4"})};
  return all;
}

std::string describe() {
  std::string text;
  for (const Library& library : libraries()) {
    text += (text.empty() ? "" : ", ") + std::string(library.handle ? "" : "no ") + library.name;
    if (const auto config = library.find<char* (*)()>("openblas_get_config")) {
      text += std::string(" (") + config() + ")";
    }
    if (const auto start = library.find<void (*)()>("bli_init")) start();
    const auto version = library.find<const char* (*)()>("bli_info_get_version_str");
    const auto arch = library.find<int (*)()>("bli_arch_query_id");
    const auto arch_name = library.find<const char* (*)(int)>("bli_arch_string");
    if (version) text += std::string(" ") + version();
    if (arch && arch_name) text += std::string(" (") + arch_name(arch()) + ")";
  }
  return text;
}

std::vector<Contender> gemm(const Gemm& p) {
  std::vector<Contender> contenders;
  for (const Library& library : libraries()) {
    const auto sgemm = library.find<Sgemm>("sgemm_");
    if (!sgemm) continue;
    // Fortran's matrices are column-major, so it is asked for C^T = B^T A^T.
    contenders.push_back(
        {library.name, batched(p, [=](const float* a, const float* b, float* c) {
           const float one = 1, zero = 0;
           const char ta = p.transpose_a ? 'T' : 'N', tb = p.transpose_b ? 'T' : 'N';
           const int lda = p.transpose_a ? p.M : p.K;
           const int ldb = p.transpose_b ? p.K : p.N;
           sgemm(&tb, &ta, &p.N, &p.M, &p.K, &one, b, &ldb, a, &lda, &zero, c, &p.N);
         })});
  }
  return contenders;
}

}  // namespace

const Peer kindling_peer = {describe, gemm, nullptr};
