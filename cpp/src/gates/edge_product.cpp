// Products of a tensor of an edge with one of its node, channel by channel (Allegro: edge and environment):
//
//   out[e][L][M][c] = sum over paths p of w_p[c] sum over m1, m2 of  C(l1 l2 L)[m1 m2 M] V[e][m1][c] A[i][m2][c]
//
// Paths p = (part of the output, part of V, part of A); weights are scaled by one over the root of the number of paths
// into a part. All edges of a node have the same A: its products with weights and coefficients are a matrix from the
// components of V to those of the output, made once per node and channel.
#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

#include "gates/gate.hpp"
#include "so3/clebsch_gordan.hpp"

namespace nbcore {

namespace {

const OptionTable options = {
    whole("l_max", 2, 0, max_l_network, "largest l of the output"),
    choice("parities", {"all", "natural"}, "natural: with o3, output parts of parity -(-1)^l are left out"),
    texts("parts", "what to keep of the output, 0e, 1o and so on (0, 1 with so3); all where none is named"),
    choice("coupling", {"channels", "paths"}, "weights per path and channel, or one per path"),
};

struct Path {
  int out, v, a;  // parts
};

struct Rule : GateRule {
  static constexpr Reads reads = Reads::edges;
  static constexpr bool output_on_edges = true;
  static constexpr unsigned inputs_on_edges = 1;  // V; A is a state of the nodes
  int channels;
  bool per_channel;
  std::vector<Path> paths;  // by output part, then V, then A

  Rule(const OptionValues& o, const States& inputs, const Surroundings& around)
      : per_channel(o.is("coupling", "channels")) {
    if (inputs.size() != 2) throw InputError("it takes two inputs, a state of edges and one of their nodes");
    channels = inputs[0][0].channels();
    for (const std::span<const Part>& state : inputs)
      for (const Part& p : state)
        if (p.groups != 1 || p.group != channels || p.complex)
          throw InputError("all parts of its inputs must have the same channels, one group of real ones");
    const std::vector<std::string>& only = o.texts("parts");
    std::map<std::pair<int, int>, std::vector<Path>> found;
    for (int v = 0; v < int(inputs[0].size()); ++v)
      for (int a = 0; a < int(inputs[1].size()); ++a) {
        const int parity = inputs[0][v].parity * inputs[1][a].parity, l1 = inputs[0][v].l, l2 = inputs[1][a].l;
        for (int l = std::abs(l1 - l2); l <= std::min(l1 + l2, o.whole("l_max")); ++l)
          if ((o.is("parities", "all") || parity == around.natural(l)) && named(only, l, parity))
            found[{l, parity}].push_back({0, v, a});
      }
    if (found.empty()) throw InputError("no product is one of the parts wanted");
    for (auto& [type, of_part] : found) {
      for (Path& p : of_part) p.out = int(output.size()), paths.push_back(p);
      output.push_back({type.first, type.second, 1, channels});
    }
    count_terms(std::int64_t(paths.size()));
    const std::int64_t n = std::int64_t(paths.size());
    parameters.push_back({"w", per_channel ? std::vector<std::int64_t>{n, channels} : std::vector<std::int64_t>{n}});
  }

 private:
  static bool named(const std::vector<std::string>& only, int l, int parity) {
    const std::string name = std::to_string(l) + (parity == 0 ? "" : parity > 0 ? "e" : "o");
    return only.empty() || std::find(only.begin(), only.end(), name) != only.end();
  }
};

template <class Real> class Kernels : public KernelsOf<Kernels<Real>, Real> {
  static constexpr int w = width<Real>, at_once = 4;
  struct Component {
    int part, m;
  };
  struct Entry {  // of the matrix
    int v;        // component of V
  };
  struct Term {
    int path, entry, a;  // component of A
    Real C;
  };
  std::vector<Component> components_v, components_a, components_out;
  std::vector<Entry> entries;   // row after row
  std::vector<int> row_first;   // [component of the output + 1] entries
  std::vector<Term> terms;      // by path
  std::vector<int> path_first;  // [path + 1] terms
  int n_paths, row;

 public:
  Kernels(const Rule& rule, const States& inputs, std::span<const RadialPlace>)
      : components_v(components(inputs[0])),
        components_a(components(inputs[1])),
        components_out(components(rule.output)),
        n_paths(int(rule.paths.size())),
        row(padded<Real>(rule.channels)) {
    std::map<std::pair<int, int>, int> number;                  // (component of the output, of V) -> entry
    std::vector<std::tuple<int, int, int, int, double>> found;  // path, output, V, A, coefficient
    for (int p = 0; p < n_paths; ++p) {
      const auto [out, v, a] = rule.paths[p];
      const int l1 = inputs[0][v].l, l2 = inputs[1][a].l, L = rule.output[out].l;
      const std::vector<double> C = so3::real_clebsch_gordan(l1, l2, L);
      for (int m1 = 0; m1 < 2 * l1 + 1; ++m1)
        for (int m2 = 0; m2 < 2 * l2 + 1; ++m2)
          for (int M = 0; M < 2 * L + 1; ++M)
            if (const double c = C[(m1 * (2 * l2 + 1) + m2) * (2 * L + 1) + M]; std::abs(c) > 1e-14) {
              const int to = first(rule.output, out) + M, from = first(inputs[0], v) + m1;
              number[{to, from}] = 0, found.emplace_back(p, to, from, first(inputs[1], a) + m2, c);
            }
    }
    row_first.assign(components_out.size() + 1, 0);
    for (auto& [place, k] : number)
      k = int(entries.size()), entries.push_back({place.second}), ++row_first[place.first + 1];
    for (std::size_t k = 1; k < row_first.size(); ++k) row_first[k] += row_first[k - 1];
    path_first.assign(n_paths + 1, 0);
    for (const auto& [p, to, from, a, c] : found)
      terms.push_back({p, number[{to, from}], a, Real(c)}), ++path_first[p + 1];
    for (int p = 0; p < n_paths; ++p) path_first[p + 1] += path_first[p];
    std::vector<int> into(rule.output.size(), 0);
    for (const Path& p : rule.paths) ++into[p.out];
    for (int c = 0; c < row; c += w)  // weights packed [register][path][lane]
      for (int p = 0; p < n_paths; ++p)
        for (int k = c; k < c + w; ++k) {
          if (k >= rule.channels) this->packing.zeros(1);
          else
            this->packing.weight(rule.per_channel ? std::int64_t(p) * rule.channels + k : p,
                                 1 / std::sqrt(double(into[rule.paths[p].out])));
        }
  }

  template <class Lane> void forward(Block<Real>& b) const {
    Lane* T = b.scratch->template take_registers<Lane>(entries.size());
    each_node(b, [&](int i, int c) {
      matrix(b, i, c, T);
      each_edges(b, i, [&]<int n>(std::int64_t e) {
        for (std::size_t M = 0; M < components_out.size(); ++M) {
          Lane sum[n] = {};
          for (int k = row_first[M]; k < row_first[M + 1]; ++k) {
    NB_UNROLL for (int j = 0; j < n; ++j)
                add_product(sum[j], T[k], load<Lane>(at(b.inputs[0], components_v[entries[k].v], e + j), c));
          }
          NB_UNROLL for (int j = 0; j < n; ++j) put(at(b.output, components_out[M], e + j), c, sum[j]);
        }
      });
    });
  }

  template <class Lane, Want want> void adjoint(Block<Real>& b) const {
    const std::size_t n_v = components_v.size();
    Lane *T = b.scratch->template take_registers<Lane>(entries.size()),
         *T_bar = b.scratch->template take_registers<Lane>(entries.size()),
         *V_bar = b.scratch->template take_registers<Lane>(n_v * at_once);
    each_node(b, [&](int i, int c) {
      matrix(b, i, c, T);
      std::fill_n(T_bar, entries.size(), Lane{});
      each_edges(b, i, [&]<int n>(std::int64_t e) {
        std::fill_n(V_bar, n_v * n, Lane{});
        for (std::size_t M = 0; M < components_out.size(); ++M) {
          Lane bar[n];
          NB_UNROLL for (int j = 0; j < n; ++j) bar[j] = load<Lane>(bar_at(b.output, components_out[M], e + j), c);
          for (int k = row_first[M]; k < row_first[M + 1]; ++k) {
            const int v = entries[k].v;
            Lane sum = T_bar[k];
            NB_UNROLL for (int j = 0; j < n; ++j) {
              add_product(V_bar[v * n + j], T[k], bar[j]);
              add_product(sum, bar[j], load<Lane>(at(b.inputs[0], components_v[v], e + j), c));
            }
            T_bar[k] = sum;
          }
        }
        for (std::size_t v = 0; v < n_v; ++v)
          for (int j = 0; j < n; ++j) add(bar_at(b.inputs[0], components_v[v], e + j), c, V_bar[v * n + j]);
      });
      const Real* weights = b.weights + std::ptrdiff_t(c) * n_paths;
      for (int p = 0; p < n_paths; ++p) {
        const Simd<Real> weight = load_register(weights + p * w);
        Simd<Real> weight_bar{};
        for (int t = path_first[p]; t < path_first[p + 1]; ++t) {
          const Term& term = terms[t];
          const Lane bar = product(term.C, T_bar[term.entry]);
          if constexpr (want.parameters)
            add_gradient(weight_bar, bar, load<Lane>(own_at(b.inputs[1], components_a[term.a], i), c));
          add(own_bar_at(b.inputs[1], components_a[term.a], i), c, product(weight, bar));
        }
        if constexpr (want.parameters) {
          Real* to = b.weights_bar + (std::ptrdiff_t(c) * n_paths + p * w);
          store_register(to, load_register(to) + weight_bar);
        }
      }
    });
  }

 private:
  static std::vector<Component> components(std::span<const Part> parts) {
    std::vector<Component> all;
    for (int p = 0; p < int(parts.size()); ++p)
      for (int m = 0; m < parts[p].dim(); ++m) all.push_back({p, m});
    return all;
  }
  /// Number of the first component of a part
  static int first(std::span<const Part> parts, int part) {
    int n = 0;
    for (int p = 0; p < part; ++p) n += parts[p].dim();
    return n;
  }
  std::ptrdiff_t place(const State<Real>& s, const Component& k, std::int64_t node) const {
    return (node * (*s.layout)[k.part].dim() + k.m) * row;
  }
  Planes<Real> at(const State<Real>& s, const Component& k, std::int64_t e) const { return s.part(k.part) + place(s, k, e); }
  Planes<Real> bar_at(const State<Real>& s, const Component& k, std::int64_t e) const {
    return s.part_bar(k.part) + place(s, k, e);
  }
  Planes<Real> own_at(const State<Real>& s, const Component& k, int i) const { return s.own(k.part) + place(s, k, i); }
  Planes<Real> own_bar_at(const State<Real>& s, const Component& k, int i) const {
    return s.own_bar(k.part) + place(s, k, i);
  }
  template <class Lane> static void add(Planes<Real> to, int c, Lane x) {
    Lane sum = load<Lane>(to, c);
    add_product(sum, Real(1), x);
    put(to, c, sum);
  }
  /// The matrix of node i and of a register of channels
  template <class Lane> void matrix(const Block<Real>& b, int i, int c, Lane* T) const {
    std::fill_n(T, entries.size(), Lane{});
    const Real* weights = b.weights + std::ptrdiff_t(c) * n_paths;
    for (const Term& t : terms)
      add_product(T[t.entry], product(t.C, load_register(weights + t.path * w)),
                  load<Lane>(own_at(b.inputs[1], components_a[t.a], i), c));
  }
  /// f(node, first channel of a register) for nodes that have edges
  template <class F> void each_node(const Block<Real>& b, F f) const {
    for (int i = 0; i < b.n; ++i)
      if (b.first[i + 1] > b.first[i])
        for (int c = 0; c < row; c += w) f(i, c);
  }
  /// f<n>(first of n edges) for all edges of a node
  template <class F> static void each_edges(const Block<Real>& b, int i, F f) {
    std::int64_t e = b.first[i];
    for (; e + at_once <= b.first[i + 1]; e += at_once) f.template operator()<at_once>(e);
    for (; e < b.first[i + 1]; ++e) f.template operator()<1>(e);
  }
};

}  // namespace

NB_GATE(edge_product, "Products of tensors of edges with those of their node, channel by channel, weights per path")

}  // namespace nbcore
