// Composition schemes of the C ABI.
#include "capi/handles.hpp"

namespace nbcore::capi {
Handles<Scheme> schemes("scheme");
}

using namespace nbcore;
using namespace nbcore::capi;

nbcore_status nbcore_scheme_new(int64_t n_atoms, nbcore_scheme** scheme) {
  return guarded([&] {
    require(scheme, "scheme");
    if (n_atoms < 0 || n_atoms > INT32_MAX)
      throw ShapeError(message("n_atoms must be between 0 and 2147483647, got ", n_atoms));
    auto made = std::make_shared<Scheme>();
    made->scheme.n_atoms = static_cast<int>(n_atoms);
    schemes.add(std::move(made), scheme);
  });
}

nbcore_status nbcore_scheme_add(nbcore_scheme* scheme, const char* name, const char* children, int64_t n_nodes,
                                const int* classes, const int64_t* atom_first, const int* atoms,
                                const double* coefficients, const int* atom_images, const int64_t* child_first,
                                const int* child, const int* child_images) {
  return guarded([&] {
    const auto kept = schemes.find(scheme);
    require(name, "name"), require(children, "children");
    require(atom_first, "atom_first"), require(child_first, "child_first");
    if (n_nodes < 0 || n_nodes > INT32_MAX)
      throw ShapeError(message("n_nodes must be between 0 and 2147483647, got ", n_nodes));
    const std::int64_t n_atoms = atom_first[n_nodes], n_children = child_first[n_nodes];
    for (const auto& [name, n] : {std::pair("atom_first", n_atoms), std::pair("child_first", n_children)})
      if (n < 0 || n > INT32_MAX)
        throw ShapeError(message(name, " must end with a number from 0 to 2147483647, got ", n));
    if (n_atoms > 0) require(atoms, "atoms"), require(coefficients, "coefficients");
    if (n_children > 0) require(child, "child");
    const auto images = [](const int* from, std::int64_t n) {
      std::vector<Image> to(n, Image{});
      for (std::int64_t k = 0; k < n && from != nullptr; ++k) to[k] = {from[3 * k], from[3 * k + 1], from[3 * k + 2]};
      return to;
    };
    SchemeSet set;
    set.name = name, set.children = children;
    set.classes.assign(n_nodes, 0);
    if (classes != nullptr) set.classes.assign(classes, classes + n_nodes);
    set.atom_first.assign(atom_first, atom_first + n_nodes + 1);
    set.child_first.assign(child_first, child_first + n_nodes + 1);
    set.atom.assign(atoms, atoms + n_atoms), set.coefficient.assign(coefficients, coefficients + n_atoms);
    set.child.assign(child, child + n_children);
    set.image = images(atom_images, n_atoms), set.child_image = images(child_images, n_children);
    const ShortLock lock(kept->guard);
    if (kept->checked) throw InputError("scheme: it has been used already; make another one");
    kept->scheme.sets.push_back(std::move(set));
  });
}

nbcore_status nbcore_scheme_reference(nbcore_scheme* scheme, const double* places) {
  return guarded([&] {
    const auto kept = schemes.find(scheme);
    require(places, "places");
    const ShortLock lock(kept->guard);
    if (kept->checked) throw InputError("scheme: it has been used already; make another one");
    kept->scheme.reference.resize(kept->scheme.n_atoms);
    for (int i = 0; i < kept->scheme.n_atoms; ++i)
      kept->scheme.reference[i] = {places[3 * i], places[3 * i + 1], places[3 * i + 2]};
  });
}

nbcore_status nbcore_scheme_free(nbcore_scheme* scheme) {
  return guarded([&] { schemes.free(scheme); });
}
