#include "potential/repulsion.hpp"

#include <algorithm>
#include <cmath>

#include "potential/potential.hpp"

namespace nbcore {

namespace {
constexpr double coulomb = 14.399645478, bohr = 0.529177210903;  // eV Angstrom, Angstrom (CODATA 2018)
constexpr double c[] = {0.18175, 0.50986, 0.28022, 0.02817}, d[] = {3.19980, 0.94229, 0.40290, 0.20162};
}  // namespace

Repulsion::Repulsion(const std::vector<int>& numbers, std::vector<double> radii)
    : n_species_(int(numbers.size())), radii_(std::move(radii)) {
  for (const int z : numbers)
    for (const int other : numbers) {
      charges_.push_back(coulomb * z * other);
      inverse_a_.push_back((std::pow(z, 0.23) + std::pow(other, 0.23)) / (0.8854 * bohr));
    }
  for (const double radius : radii_) largest_ = std::max(largest_, radius);
}

Repulsion::Derivatives Repulsion::at(int a, int b, double r) const {
  const int pair = a * n_species_ + b;
  const double R = radii_[pair], x = r / R;
  if (!(r < R)) return {};
  double phi = 0, slope = 0, curvature = 0;  // of the screening, by r
  for (int n = 0; n < 4; ++n) {
    const double k = d[n] * inverse_a_[pair], term = c[n] * std::exp(-k * r);
    phi += term, slope -= k * term, curvature += k * k * term;
  }
  const double u = charges_[pair] / r;  // Coulomb's energy
  const double v = u * phi, v1 = u * (slope - phi / r), v2 = u * (curvature - 2 * slope / r + 2 * phi / (r * r));
  const double x4 = x * x * x * x, y = 1 - x;
  const double s = 1 - x4 * x * x * (28 - x * (48 - 21 * x)), s1 = -168 * x4 * x * y * y / R,
               s2 = -168 * x4 * y * (5 - 7 * x) / (R * R);
  return {s * v, s1 * v + s * v1, s2 * v + 2 * s1 * v1 + s * v2};
}

template <class F> void Repulsion::each_edge(const Graph& graph, F f) const {
  for (const GraphBlock& block : graph.relations[neighbour_relation].blocks) {
    if (block.depth > 0) continue;
    const std::int64_t stride = block.stride();
    const double* x = block.r.data();
    for (int i = 0, species = 0; i < block.n; ++i) {
      while (i >= block.species_first[species + 1]) ++species;
      const double* radii = radii_.data() + species * n_species_;
      for (std::int64_t e = block.edge_first[i]; e < block.edge_first[i + 1]; ++e) {
        const Vec3 r{x[e], x[stride + e], x[2 * stride + e]};
        const double square = r[0] * r[0] + r[1] * r[1] + r[2] * r[2], radius = radii[block.child_species[e]];
        if (square < radius * radius)
          f(block.first + i, block.child[e], r, std::sqrt(square), species, block.child_species[e]);
      }
    }
  }
}

void Repulsion::add(const Graph& graph, std::vector<double>& energies, std::vector<Vec3>& forces, Mat3& virial,
                    std::vector<Mat3>& virials) const {
  const std::vector<std::int32_t>& order = graph.sets[atom_set].order;
  each_edge(graph, [&](int parent, int child, const Vec3& r, double length, int a, int b) {
    const Derivatives v = at(a, b, length);
    energies[order[parent]] += v.value / 2;
    for (int k = 0; k < 3; ++k) {
      const double f = -v.first / 2 * r[k] / length;  // on the child; the edge back has the other half
      forces[order[child]][k] += f, forces[order[parent]][k] -= f;
      for (int j = 0; j < 3; ++j) {
        virial[j][k] += r[j] * f;
        if (!virials.empty()) virials[order[child]][j][k] += r[j] * f;
      }
    }
  });
}

void Repulsion::add_tangents(const Graph& graph, const std::vector<Vec3>& v, const Mat3& S, std::vector<Vec3>& forces,
                             Mat3& virial) const {
  const std::vector<std::int32_t>& order = graph.sets[atom_set].order;
  each_edge(graph, [&](int parent, int child, const Vec3& r, double length, int a, int b) {
    const Derivatives of = at(a, b, length);
    const double factor = -of.first / (2 * length);  // f = factor r
    Vec3 r_dot{};
    double along = 0;
    for (int k = 0; k < 3; ++k) {
      r_dot[k] = v[order[child]][k] - v[order[parent]][k] + S[k][0] * r[0] + S[k][1] * r[1] + S[k][2] * r[2];
      along += r[k] * r_dot[k] / length;
    }
    const double factor_dot = -(of.second - of.first / length) / (2 * length) * along;
    for (int k = 0; k < 3; ++k) {
      const double f = factor * r[k], f_dot = factor_dot * r[k] + factor * r_dot[k];
      forces[order[child]][k] += f_dot, forces[order[parent]][k] -= f_dot;
      for (int j = 0; j < 3; ++j) virial[j][k] += r_dot[j] * f + r[j] * f_dot;
    }
  });
}

std::vector<double> radii_of(const Options& pairs, const std::vector<int>& species) {
  std::vector<double> radii(species.size() * species.size(), 0.0);
  for (const std::string& pair : pairs.keys()) {
    const std::size_t line = pair.find('-');
    const auto place = [&](const std::string& symbol) {
      const auto found = std::find(species.begin(), species.end(), atomic_number(symbol));
      if (line == std::string::npos || found == species.end())
        throw InputError(message("repulsion: ", pair, " is no pair of the species, as Si-Si is one of Si"));
      return std::size_t(found - species.begin());
    };
    const std::size_t a = place(pair.substr(0, line)), b = place(pair.substr(line + 1));
    radii[a * species.size() + b] = radii[b * species.size() + a] = pairs.get<double>(pair);
  }
  return radii;
}

void check_radii(const std::vector<double>& radii, const Network& network, const std::vector<int>& species) {
  const std::size_t n = species.size();
  if (radii.empty()) return;
  if (radii.size() != n * n) throw InputError(message("repulsion: ", n, " x ", n, " radii are needed"));
  if (network.readout().empty()) throw InputError("repulsion: this network gives no energy to which it could be added");
  if (!network.uses(neighbour_relation)) throw InputError("repulsion: this network looks at no neighbours of atoms");
  for (std::size_t a = 0; a < n; ++a)
    for (std::size_t b = 0; b < n; ++b) {
      const double r = radii[a * n + b];
      const std::string pair = chemical_symbol(species[a]) + "-" + chemical_symbol(species[b]);
      if (!std::isfinite(r)) throw NonFiniteError(message("repulsion: ", pair, " must be a finite number, got ", r));
      if (r != radii[b * n + a]) throw InputError(message("repulsion: the radii of ", pair, " must be the same"));
      if (r < 0 || r > network.cutoff())
        throw InputError(message("repulsion: ", pair, ": the radius must be from 0 to the cutoff, ", network.cutoff(),
                                 " Angstrom, got ", r));
    }
}

}  // namespace nbcore
