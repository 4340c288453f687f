// Proposition 1: the only linear maps that commute with rotations mix channels, one matrix per part.
//
//   out^l[i] = sum over inputs of  F^l[i] W^l          W^l [inputs' channels][channels]
//
// with one W^l for all nodes, or one for each species of the node.
//
// With algebra "complex" the state is one of complex channels (Part) and W is complex: in the real basis a real matrix
// that repeats its parameters, (re, im) [[W_re, W_im], [-W_im, W_re]]. Real inputs count as complex ones without
// imaginary part.
//
// Weights are scaled by 1/sqrt(number of incoming channels), so that outputs have the size of the inputs, times a
// constant gain per output part, which calibration chooses so that outputs are of order one on the data.
#include "gates/gate.hpp"
#include "ops/mixing.hpp"

namespace nbcore {

template <class Real> class Mix : public GateOf<Mix<Real>, Real> {
  struct Product {  // one input part into one output part
    int input, part, out, K, N;
    std::ptrdiff_t W;  // place in the packed weights of class 0; in the copies lies the transpose
    bool first;        // the first to write its output
  };
  std::vector<Product> products;
  std::vector<std::pair<int, int>> dropped;  // (input, part) that goes nowhere
  int n_classes;
  std::ptrdiff_t class_size = 0;  // packed weights of one class

 public:
  Mix(const Options& spec, const std::vector<std::vector<Part>>& inputs, Surroundings& around) {
    if (inputs.empty()) throw InputError("gate mix: needs at least one input");
    this->overwrites = true;
    const int channels = spec.whole("channels", 64, 1, 4096),
              l_max = spec.whole("l_max", max_l_network, 0, max_l_network);
    const std::string share = spec.get<std::string>("share", "all");
    if (share != "all" && share != "species")
      throw InputError(message("gate mix: share must be \"all\" or \"species\", got \"", share, "\""));
    n_classes = share == "species" ? around.n_species : 1;
    const std::string algebra = spec.get<std::string>("algebra", "real");
    if (algebra != "real" && algebra != "complex")
      throw InputError(message("gate mix: algebra must be \"real\" or \"complex\", got \"", algebra, "\""));
    const bool complex = algebra == "complex";
    const std::string parities = spec.get<std::string>("parities", "all");
    if (parities != "all" && parities != "natural")
      throw InputError(message("gate mix: parities must be \"all\" or \"natural\", got \"", parities, "\""));

    const std::vector<std::string> only = spec.get<std::vector<std::string>>("parts", {});
    const auto wanted = [&](const Part& p) {
      if (p.l > l_max || (parities == "natural" && p.parity != 0 && p.parity != (p.l % 2 ? -1 : 1))) return false;
      return only.empty() || std::find(only.begin(), only.end(), type_name(p.l, p.parity)) != only.end();
    };
    std::map<std::pair<int, int>, int> outputs;  // (l, parity) -> incoming channels
    for (const auto& parts : inputs)
      for (const Part& p : parts)
        if (wanted(p)) outputs[{p.l, p.parity}] += complex ? p.algebraic_channels() : p.channels();
    if (outputs.empty()) throw InputError("gate mix: no input part has l <= l_max");
    for (const std::string& name : only)
      if (std::none_of(outputs.begin(), outputs.end(),
                       [&](const auto& o) { return type_name(o.first.first, o.first.second) == name; }))
        throw InputError(message("gate mix: no input has a part ", name));

    for (int input = 0; input < int(inputs.size()); ++input)
      for (int part = 0; part < int(inputs[input].size()); ++part)
        if (!wanted(inputs[input][part])) dropped.emplace_back(input, part);

    std::int64_t index = 0;
    for (const auto& [type, fan_in] : outputs) {
      const auto [l, parity] = type;
      this->output.push_back({l, parity, complex ? 2 : 1, channels, complex});
      std::vector<std::int64_t> shape{n_classes, fan_in, channels};
      if (complex) shape.push_back(2);
      this->parameters.push_back({"W" + type_name(l, parity), shape});
      const double scale = 1 / std::sqrt(double(complex ? 2 * fan_in : fan_in));
      const Layout<Real> out({this->output.back()});
      int k_before = 0;
      bool first = true;
      for (int input = 0; input < int(inputs.size()); ++input) {
        const Layout<Real> layout(inputs[input]);
        for (int part = 0; part < layout.size(); ++part) {
          if (layout[part].l != l || layout[part].parity != parity) continue;
          const Product p{input, part, int(this->output.size()) - 1, layout.row(part), out.row(0), class_size, first};
          class_size += std::ptrdiff_t(p.K) * p.N;
          products.push_back(p), first = false;
          this->packing.resize(class_size), this->copies.resize(class_size);
          const auto put = [&](int row, int column, std::int64_t parameter, double sign) {
            const Packed w{index + parameter, sign * scale};
            this->packing[p.W + packed_position<Real>(row, column, p.K, p.N)] = w;
            this->copies[p.W + packed_position<Real>(column, row, p.N, p.K)] = w;
          };
          const int n_in = complex ? layout[part].algebraic_channels() : layout[part].channels();
          for (int k = 0; k < n_in; ++k)
            for (int n = 0; n < channels; ++n) {
              const std::int64_t w = std::int64_t(k_before + k) * channels + n;
              if (!complex) put(layout.position(part, k), n, w, 1);
              else
                for (int plane = 0; plane < layout[part].planes(); ++plane) {
                  const int row = layout.position(part, k, plane);
                  put(row, out.position(0, n, plane), 2 * w, 1);                            // W_re
                  put(row, out.position(0, n, 1 - plane), 2 * w + 1, plane == 0 ? 1 : -1);  // W_im
                }
            }
          k_before += n_in;
        }
      }
      index += this->parameters.back().size();
    }
    // further classes: the same order, each with its own block [fan_in][channels] of every parameter
    for (auto* order : {&this->packing, &this->copies}) {
      order->resize(class_size * n_classes);
      for (int c = 1; c < n_classes; ++c)
        for (std::ptrdiff_t k = 0; k < class_size; ++k) (*order)[c * class_size + k] = of_class(c, (*order)[k]);
    }
    const std::vector<double> gain =
        spec.get<std::vector<double>>("gain", std::vector<double>(this->output.size(), 1.0));
    if (gain.size() != this->output.size())
      throw InputError(message("gate mix: gain needs one number per output part, ", this->output.size()));
    for (std::size_t part = 0; part < gain.size(); ++part) rescale(int(part), gain[part]);
  }

  void rescale(int part, double factor) override {
    for (const Product& p : products)
      if (p.out == part)
        for (auto* order : {&this->packing, &this->copies})
          for (int c = 0; c < n_classes; ++c)
            for (std::ptrdiff_t k = 0; k < std::ptrdiff_t(p.K) * p.N; ++k)
              (*order)[c * class_size + p.W + k].scale *= factor;
  }

  /// f(product, class, first row of the class in the block, rows)
  template <class F> void each(Block<Real>& b, F f) const {
    for (const Product& p : products) {
      const int d = (*b.output.layout)[p.out].dim();
      for (int c = 0; c < n_classes; ++c) {
        const int from = n_classes == 1 ? 0 : b.species_first[c], to = n_classes == 1 ? b.n : b.species_first[c + 1];
        if (to > from) f(p, c, std::ptrdiff_t(from) * d, std::ptrdiff_t(to - from) * d);
      }
    }
  }

  template <class Lane> void forward(Block<Real>& b) const {
    each(b, [&](const Product& p, int c, std::ptrdiff_t row, std::ptrdiff_t rows) {
      const Planes<Real> A = b.inputs[p.input].own(p.part) + row * p.K, C = b.output.own(p.out) + row * p.N;
      const Real* W = b.weights + c * class_size + p.W;
      const auto plane = [&](const Real* from, Real* to) {
        if (p.first) mix<false>(from, p.K, W, to, p.N, rows, p.K, p.N);
        else mix<true>(from, p.K, W, to, p.N, rows, p.K, p.N);
      };
      plane(written<Lane>(A), written<Lane>(C));
    });
  }

  template <class Lane, Want want> void adjoint(Block<Real>& b) const {
    for (const auto& [input, part] : dropped)
      if (const State<Real>& state = b.inputs[input]; state.fresh) {
        const std::size_t size = std::size_t(b.n) * (*state.layout)[part].dim() * state.layout->row(part);
        std::memset(written<Lane>(state.own_bar(part)), 0, size * sizeof(Real));
      }
    each(b, [&](const Product& p, int c, std::ptrdiff_t row, std::ptrdiff_t rows) {
      const Planes<Real> A = b.inputs[p.input].own(p.part) + row * p.K, C_bar = b.output.own_bar(p.out) + row * p.N;
      const Planes<Real> A_bar = b.inputs[p.input].own_bar(p.part) + row * p.K;
      const Real* W = b.copies + c * class_size + p.W;
      const auto plane = [&](const Real* from, Real* to) {
        if (b.inputs[p.input].fresh) mix<false>(from, p.N, W, to, p.K, rows, p.N, p.K);
        else mix<true>(from, p.N, W, to, p.K, rows, p.N, p.K);
      };
      plane(written<Lane>(C_bar), written<Lane>(A_bar));
      if constexpr (want.parameters) {
        Real* W_bar = b.weights_bar + c * class_size + p.W;
        if constexpr (is_dual<Lane>) {
          mix_gradient<2, Real>({{A.dot, C_bar.value}, {A.value, C_bar.dot}}, p.K, p.N, W_bar, rows, p.K, p.N);
        } else {
          mix_gradient(A.value, p.K, C_bar.value, p.N, W_bar, rows, p.K, p.N);
        }
      }
    });
  }

 private:
  /// 1o, 2e; 1, 2 where parity is not tracked
  static std::string type_name(int l, int parity) {
    return std::to_string(l) + (parity == 0 ? "" : parity > 0 ? "e" : "o");
  }
  /// The weight of class c that corresponds to one of class 0
  Packed of_class(int c, Packed w) const {
    std::int64_t start = 0;
    for (const ParameterInfo& p : this->parameters) {
      if (w.index >= start && w.index < start + p.size()) {
        w.index += c * (p.size() / n_classes);
        break;
      }
      start += p.size();
    }
    return w;
  }
};

NB_GATE(Mix, "mix", "Linear mixing of channels, one matrix per part (Proposition 1); several inputs are summed", R"({
  "channels": {"type": "int", "default": 64, "doc": "channels of every output part"},
  "l_max": {"type": "int", "default": 10, "doc": "input parts above are dropped"},
  "parities": {"type": "str", "default": "all", "doc": "all; natural: with o3, input parts of parity -(-1)^l are dropped"},
  "parts": {"type": "list", "default": [], "doc": "what to keep, 0e, 1o and so on (0, 1 with so3); all by default"},
  "algebra": {"type": "str", "default": "real", "doc": "complex: complex channels with complex weights, pairs of re and im"},
  "gain": {"type": "list", "default": [], "doc": "constant factor of each output part, 1 by default"},
  "share": {"type": "str", "default": "all", "doc": "all: one matrix for all nodes; species: one per species of the node"}})")

}  // namespace nbcore
