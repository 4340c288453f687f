// The one name by which the plugin finds the pair style
#include "pair_nbcore.h"

extern "C" __attribute__((visibility("default"))) LAMMPS_NS::Pair* nbcore_create_pair(LAMMPS_NS::LAMMPS* lmp) {
  return new LAMMPS_NS::PairNBCore(lmp);
}
