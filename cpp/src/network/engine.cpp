#include "network/network.hpp"

namespace nbcore {

template <class Real> Engine<Real>::Engine(const Network& network) : network_(network) {
  for (const Network::Slot& slot : network.slots()) {
    layouts.emplace_back(slot.parts);
    Step step;
    step.weights = n_weights, step.copies = n_copies;
    if (slot.rule) {
      step.kernels = make_kernels<Real>(*slot.rule, network.inputs_of(slot), slot.radials);
      n_weights += padded<Real>(step.kernels->packing.size());
      n_copies += padded<Real>(step.kernels->copies.size());
    }
    steps.push_back(std::move(step));
  }
}

template <class Real>
void Engine<Real>::pack(const double* parameters, Buffer<Real>& packed, const PackedClasses& of_atoms) const {
  if (of_atoms.common) packed.resize(n_weights + n_copies);
  for (std::size_t k = 0; k < steps.size(); ++k) {
    const Network::Slot& slot = network_.slots()[k];
    if (!slot.rule) continue;
    const bool by_element = slot.set == atom_set && !slot.on_edges;
    const PackedClasses& which = by_element ? of_atoms : PackedClasses();
    if (!by_element && !of_atoms.common) continue;  // they are there
    const double* of_gate = parameters + slot.parameters;
    steps[k].kernels->packing.pack(of_gate, slot.rule->gains, packed.data() + steps[k].weights, which);
    steps[k].kernels->copies.pack(of_gate, slot.rule->gains, packed.data() + n_weights + steps[k].copies, which);
  }
}

template <class Real> void Engine<Real>::unpack_adjoint(const double* weights_bar, double* gradient) const {
  for (std::size_t k = 0; k < steps.size(); ++k) {
    const Network::Slot& slot = network_.slots()[k];
    if (slot.rule)
      steps[k].kernels->packing.unpack_adjoint(weights_bar + steps[k].weights, slot.rule->gains,
                                               gradient + slot.parameters);
  }
}

template struct Engine<double>;
template struct Engine<float>;

}  // namespace nbcore
