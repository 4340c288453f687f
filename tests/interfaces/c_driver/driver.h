/* What all parts of the driver use: checks that count, structures, the parts themselves. */
#ifndef DRIVER_H
#define DRIVER_H
#include <nbcore/nbcore.h>

#define MOST 512 /* atoms of a structure here */

extern int checks, wrong; /* of the main thread; others count for themselves */

/* A call whose status, and whose message if it is not NBCORE_OK, must be what is said; a fact that must hold. */
#define EXPECT(status, words, call) check(__LINE__, __FILE__, #call, (int)(call), status, words)
#define OK(call) EXPECT(NBCORE_OK, "", call)
#define TRUE(fact) check_fact(__LINE__, __FILE__, #fact, fact)
void check(int line, const char* file, const char* call, int got, int expected, const char* words);
void check_fact(int line, const char* file, const char* words, int fact);

typedef struct {
  int64_t n;
  double positions[3 * MOST], cell[9];
  int numbers[MOST], pbc[3], threads;
} structure;

typedef struct {
  double energy, forces[3 * MOST], virial[9], energies[MOST];
} result;

/* k^3 atoms of H, C and O (or H and O) on a shaken grid, in a sheared cell of 0.08 atoms per cubic Angstrom. */
structure crystal(int k, int periodic, unsigned seed, int with_carbon);
structure molecule(void);

/* Two parts, all atoms with an even and all with an odd number, and the root of both. */
typedef struct {
  int64_t atom_first[3], child_first[3], root_first[2], root_child_first[2];
  int atoms[MOST], root_atoms[MOST], root_children[2], images[3 * MOST], n;
  double coefficients[MOST], root_coefficients[MOST];
} parts;

void fill(parts* p, int n);
nbcore_scheme* scheme_of(const parts* p);

/* Calls that fail must leave the result UNTOUCHED; what it was before is overwritten. */
#define UNTOUCHED -12345.678
void untouch(result* r);
nbcore_status evaluate(const nbcore_model* model, const structure* s, result* r);
nbcore_status run(const nbcore_model* model, nbcore_scheme* scheme, const structure* s, result* r);
nbcore_model* load(const char* path);

/* The parts. */
void handles(const char* path);
void damaged_files(const char* path, const char* scratch);
void sizes(const nbcore_model* model);
void spoiled(const nbcore_model* model);
void composition_schemes(const nbcore_model* tree, const nbcore_model* plain);
void uncertainties(const char* knowing_path, const char* committee_path, const nbcore_model* plain);
void domains(const nbcore_model* model, const nbcore_model* tree);
void misuse(const nbcore_model* model, const nbcore_model* other, int rounds);
void changing_models(const char* path);
void threads(const char* path, const char* tree_path);
void cycles(const char* path, const char* tree_path, int n);

#endif
