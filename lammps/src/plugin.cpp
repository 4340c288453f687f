// What LAMMPS loads: knows nothing of LAMMPS' classes, so that it loads into any release. It brings the pair style where
// the release is the one that the style was compiled for, else says which two releases do not fit.
#include <dlfcn.h>

#include <cstdio>
#include <string>

namespace {

// Layout of lammpsplugin_t, LAMMPS' documented interface for plugins
struct Style {
  const char *version, *style, *name, *info, *author;
  void* creator;
  void* handle;
};

std::string folder_of_this_file() {
  static const char here = 0;
  Dl_info info;
  if (!dladdr(&here, &info)) return "";
  const std::string path = info.dli_fname;
  const auto end = path.rfind('/');
  return end == std::string::npos ? "." : path.substr(0, end);
}

/// Of LAMMPS' C interface, whose functions stay as they are from release to release
template <class Function> Function* find(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_DEFAULT, name));
}

std::string date(int version) {
  static const char* const months[] = {"?",   "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const int month = version / 100 % 100;
  return std::to_string(version % 100) + " " + months[month <= 12 ? month : 0] + " " + std::to_string(version / 10000);
}

}  // namespace

extern "C" __attribute__((visibility("default"))) void lammpsplugin_init(void* lmp, void* handle,
                                                                         void* register_style) {
  auto* setting = find<int(void*, const char*)>("lammps_extract_setting");
  const auto refuse = [&](const std::string& why) {
    if (!setting || setting(lmp, "world_rank") == 0)
      std::fprintf(stderr, "pair_style nbcore is not available: %s\n", why.c_str());
  };
  auto* version = find<int(void*)>("lammps_version");
  const int here = version ? version(lmp) : 0;
  if (here != NBCORE_LAMMPS_VERSION)
    return refuse("its plugin was compiled for LAMMPS of " + date(NBCORE_LAMMPS_VERSION) + ", and this is " +
                  (here ? "LAMMPS of " + date(here) : "another one, of an unknown release") +
                  "; compile it again with the headers of this LAMMPS");
  const std::string file = folder_of_this_file() + "/libpair_nbcore.so";
  void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  void* creator = library ? dlsym(library, "nbcore_create_pair") : nullptr;
  if (!creator) {
    const char* why = dlerror();
    return refuse(why ? why : file + " has no pair style");
  }
  static std::string compiled_for;
  compiled_for = date(NBCORE_LAMMPS_VERSION);
  Style style{compiled_for.c_str(),    "pair",  "nbcore", "nbcore " NBCORE_VERSION_TEXT " pair style",
              "the nbcore developers", creator, handle};
  reinterpret_cast<void (*)(Style*, void*)>(register_style)(&style, lmp);
}
