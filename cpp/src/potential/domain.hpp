// One domain of a larger system, as a host with atoms and neighbour lists of its own hands it over: atoms that it owns
// and, after them, ghosts: copies of atoms that other domains own, or images of its own.
//
// The energies of the owned atoms depend on atoms up to `levels` neighbourhoods away. Three ways lead there:
//   owners      all ghosts are images of owned atoms: there is nothing that the domain does not know;
//   recomputed  ghosts reach that far, and states of those nearer than levels - 1 neighbourhoods are computed here, too;
//   exchanged   ghosts reach one cutoff far, and the host exchanges their states (domain_levels.hpp).
#pragma once
#include <optional>

#include "potential/potential.hpp"

namespace nbcore {

/// The host's neighbours, farther ones than the cutoff too, in rows of the first atoms
struct HostList {
  std::span<const std::int64_t> first;       // rows + 1 offsets
  const std::int32_t* neighbours = nullptr;  // [pair]
  const std::int32_t* shifts = nullptr;      // [pair][3] images in cell vectors; null: none
  bool half = false;                         // pairs of two owned atoms stand in the row of one of them alone
};

struct Domain {
  Structure structure;  // owned atoms, then ghosts
  std::size_t n_ghosts = 0;
  std::span<const std::int32_t> owners;  // [ghost], where all of them are images of owned atoms
  std::optional<HostList> list;          // else neighbours are searched for

  std::size_t n_atoms() const { return structure.positions.size(); }
  std::size_t n_owned() const { return n_atoms() - n_ghosts; }
};

enum class Ghosts { recomputed, exchanged };

/// For a committee whose members have up to `levels` levels. Errors name atoms by their places in the domain:
/// InputError and ShapeError about the list, NonFiniteError, OverlapError, SpeciesError.
PreparedStructure prepare(Domain domain, const Potential& potential, int levels, Ghosts ghosts,
                          const EvaluationOptions& options);

}  // namespace nbcore
