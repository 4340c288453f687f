#include "potential/repulsion.hpp"

#include <algorithm>
#include <cmath>

#include "potential/potential.hpp"

namespace nbcore {

Repulsion::Repulsion(const std::vector<int>& numbers, std::vector<double> radii, const Screening& screening)
    : screening_(screening), n_species_(int(numbers.size())), radii_(std::move(radii)) {
  const double exponent = screening.exponent;
  for (const int z : numbers)
    for (const int other : numbers) {
      charges_.push_back(screening.coulomb * screening.scale * z * other);
      inverse_a_.push_back((std::pow(z, exponent) + std::pow(other, exponent)) / screening.length);
    }
  for (const double radius : radii_) largest_ = std::max(largest_, radius);
}

Repulsion::Derivatives Repulsion::at(int a, int b, double r) const {
  const int pair = a * n_species_ + b;
  const double R = radii_[pair], x = r / R;
  if (!(r < R)) return {};
  double phi = 0, slope = 0, curvature = 0;  // of the screening, by r
  for (int n = 0; n < 4; ++n) {
    const double k = screening_.decays[n] * inverse_a_[pair], term = screening_.weights[n] * std::exp(-k * r);
    phi += term, slope -= k * term, curvature += k * k * term;
  }
  const double u = charges_[pair] / r;  // Coulomb's energy
  const double v = u * phi, v1 = u * (slope - phi / r), v2 = u * (curvature - 2 * slope / r + 2 * phi / (r * r));
  const double p = screening_.power, y = 1 - x, slope_factor = -p * (p + 1) * (p + 2) / 2;
  double power = 1;  // x^(p-2)
  for (int k = 2; k < screening_.power; ++k) power *= x;
  const double s = 1 - power * x * x * ((p + 1) * (p + 2) / 2 - x * (p * (p + 2) - p * (p + 1) / 2 * x)),
               s1 = slope_factor * power * x * y * y / R,
               s2 = slope_factor * power * y * (p - 1 - (p + 1) * x) / (R * R);
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

Screening screening_of(const Options& given) {
  Screening s;
  const auto positive = [&](const char* name, double usual) {
    const double x = given.get(name, usual);
    if (!(x > 0 && x < 1e6)) throw InputError(message("repulsion: screening: ", name, " must be above 0, got ", x));
    return x;
  };
  s.coulomb = positive("coulomb", s.coulomb), s.length = positive("length", s.length);
  s.exponent = positive("exponent", s.exponent), s.scale = given.get("scale", s.scale);
  if (!std::isfinite(s.scale)) throw InputError("repulsion: screening: scale must be a finite number");
  const double power = given.get("power", double(s.power));
  if (!(power >= 2 && power <= 50 && power == std::floor(power)))
    throw InputError(message("repulsion: screening: power must be a whole number from 2 to 50, got ", power));
  s.power = int(power);
  for (const auto& [name, to] : {std::pair{"weights", &s.weights}, std::pair{"decays", &s.decays}}) {
    const std::vector<double> numbers = given.get(name, std::vector<double>(to->begin(), to->end()));
    if (numbers.size() != to->size() || !std::all_of(numbers.begin(), numbers.end(), [](double x) { return x > 0; }))
      throw InputError(message("repulsion: screening: ", name, " must be four numbers above 0"));
    std::copy(numbers.begin(), numbers.end(), to->begin());
  }
  return s;
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
