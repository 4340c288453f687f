/* pair_style nbcore [ghosts|exchange] [precision float64|float32] [threads N]
 * pair_coeff * * model.nbcore C H O NULL
 */
#ifdef PAIR_CLASS
// clang-format off
PairStyle(nbcore,PairNBCore);
// clang-format on
#else

#ifndef LMP_PAIR_NBCORE_H
#define LMP_PAIR_NBCORE_H

#include "pair.h"

#include <string>
#include <vector>

#include "rank_atoms.h"

#ifdef NBCORE_LAMMPS_2021  // fix pair, and another way to ask for neighbour lists, came later
#define NBCORE_SINCE_2022
#else
#define NBCORE_SINCE_2022 override
#endif

namespace LAMMPS_NS {

class PairNBCore : public Pair {
 public:
  PairNBCore(class LAMMPS*);
  ~PairNBCore() override;
  void settings(int, char**) override;
  void coeff(int, char**) override;
  void init_style() override;
  void init_list(int, class NeighList*) override;
  double init_one(int, int) override;
  void compute(int, int) override;
  int pack_forward_comm(int, int*, double*, int, int*) override;
  void unpack_forward_comm(int, int, double*) override;
  int pack_reverse_comm(int, int, double*) override;
  void unpack_reverse_comm(int, int*, double*) override;
  void* extract(const char*, int&) override;
  void* extract_peratom(const char*, int&) NBCORE_SINCE_2022;

 private:
  /// How several levels are evaluated for atoms beyond this rank.
  enum class Way {
    automatic,  // not chosen yet: alone on one rank, else by exchange
    alone,      // one rank owns all: its ghosts are images of its own atoms
    ghosts,     // lower levels are evaluated for ghosts, too, which reach levels x cutoff
    exchange    // states of ghosts come from their owners, adjoints go back
  };
  /// A quantity per atom that `fix pair` can ask for
  struct PerAtom {
    std::vector<double> values;
    bool wanted = false, triggered = false;
    int flag = 0;        // set by fix pair in the steps in which it looks
    bool fresh = false;  // values are those of the last evaluation
    bool due() const { return wanted && (!triggered || flag); }
  };

  void allocate();
  void load(const char* path);
  void set_elements(int n, char** symbols);
  void check_masses() const;
  void check_lists() const;
  void say_what_runs() const;
  void free_handles();

  void take_atoms();
  void evaluate(const nbcore_result&);
  void evaluate_by_exchange(const nbcore_system&, const nbcore_result&);
  void take_closeness();
  void take_grades();
  void refresh(PerAtom&);
  template <class F> void attempt(F call);
  void agree(const std::string& wrong);
  std::string reason(nbcore_status) const;
  std::string name_of(int place) const;
  std::vector<int> places(int n, const int* atoms) const;

  nbcore_model* model_ = nullptr;
  nbcore_levels* levels_ = nullptr;
  nbcore_info info_;
  nbcore_options options_;
  std::string path_;
  std::vector<std::string> symbols_;           // of the types, "NULL" too
  std::vector<int> numbers_;                   // of the types
  std::vector<std::vector<double> > trained_;  // [number][number] shortest distances in training
  Way asked_ = Way::automatic, way_ = Way::automatic;
  double energy_unit_ = 1;  // eV in units of LAMMPS

  nbcore_lammps::RankAtoms atoms_;
  bool stale_ = true;            // the list has changed
  bool sending_owners_ = false;  // what forward communication carries: owners, or states of level_
  int level_ = 0;
  std::size_t row_ = 0;     // numbers of an atom in communication
  std::vector<int> owner_;  // of all atoms of this rank
  std::string wrong_;       // what went wrong on this rank in this step; empty: nothing
  std::vector<double> forces_, energies_, virials_, grades_;
  PerAtom closeness_, grade_;
};

}  // namespace LAMMPS_NS

#endif
#endif
