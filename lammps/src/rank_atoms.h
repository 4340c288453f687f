// The atoms of one rank as nbcore wants them: owned ones, then ghosts, with their neighbours as compressed rows. Atoms of
// types that are no element of the model (NULL) are left out.
#ifndef NBCORE_RANK_ATOMS_H
#define NBCORE_RANK_ATOMS_H

#include <cstdint>
#include <vector>

#include "nbcore/nbcore.h"

namespace LAMMPS_NS {
class NeighList;
}

namespace nbcore_lammps {

class RankAtoms {
 public:
  /// After LAMMPS has made new lists. numbers: atomic number of each type (types count from 1), 0 for NULL. ghost_rows:
  /// the list holds the neighbours of ghosts, too.
  void take(const LAMMPS_NS::NeighList& list, const int* type, const std::vector<int>& numbers, int n_local, int n_all,
            bool ghost_rows);
  /// The owned atom (of LAMMPS) that each atom of this rank is an image of; where one rank has all
  void set_owners(const std::vector<int>& owner);
  /// The atoms have moved.
  void move(const double* const* x);

  /// Valid until the next take() or move()
  nbcore_system system() const;

  int n() const { return n_; }                                   // owned
  int n_all() const { return static_cast<int>(atoms_.size()); }  // with ghosts
  int atom(int place) const { return atoms_[place]; }            // of LAMMPS
  int place(int atom) const { return places_[atom]; }            // -1: NULL

  struct Contact {
    int i, j;         // places
    double distance;  // of two atoms
  };
  /// Two atoms that are closest to one another; n_all() atoms if there is no pair
  Contact closest() const;
  /// The largest ratio, over the neighbours of each owned atom, of the shortest distance trained of such a pair to their
  /// distance. trained: [number][number], 0 where it is not known. to: by LAMMPS' numbers
  void closeness(const std::vector<std::vector<double>>& trained, std::vector<double>& to) const;

 private:
  double distance(int i, int j) const;

  int n_ = 0;
  std::int64_t n_rows_ = 0;
  std::vector<int> atoms_, places_, numbers_, neighbours_, owners_;
  std::vector<std::int64_t> first_;
  std::vector<double> positions_;
};

}  // namespace nbcore_lammps

#endif
