/* nbcore: atomic potentials in C. Energies in eV, lengths in Angstrom, forces in eV/Angstrom, virials in eV.
 *
 *     nbcore_model* model;
 *     if (nbcore_load("acac.nbcore", &model) != NBCORE_OK) { fprintf(stderr, "%s\n", nbcore_message()); exit(1); }
 *     nbcore_evaluate(model, n, positions, numbers, cell, pbc, 0, &energy, forces, virial, NULL);
 *     nbcore_free(model);
 *
 * Every function returns NBCORE_OK (0) or a status; nbcore_message() then says what was wrong. After any error the
 * outputs are as they were. Nothing here prints, aborts or throws. All functions may be called from several threads at
 * once, for one model too.
 */
#ifndef NBCORE_H
#define NBCORE_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define NBCORE_API __attribute__((visibility("default")))
#else
#define NBCORE_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Version of this header; nbcore_version() is that of the library. */
#define NBCORE_VERSION "0.1.0"

typedef enum nbcore_status {
  NBCORE_OK = 0,
  NBCORE_EARG = 1,         /* an argument: NULL, out of range, a handle that is not (or no longer) valid */
  NBCORE_ESHAPE = 2,       /* sizes: a negative number of atoms, or too many of them */
  NBCORE_ENONFINITE = 3,   /* NaN or Inf in positions */
  NBCORE_ECELL = 4,        /* cell: not finite, singular, zero along a periodic direction, absurdly small or large */
  NBCORE_EOVERLAP = 5,     /* two atoms on top of each other */
  NBCORE_ESPECIES = 6,     /* an element that the model does not know */
  NBCORE_EMODEL = 7,       /* not a model, damaged, or of a newer release */
  NBCORE_EIO = 8,          /* the file could not be read: nbcore_errno() is errno */
  NBCORE_ENUMERICS = 9,    /* the energy or a force is not finite */
  NBCORE_EMEMORY = 10,     /* out of memory */
  NBCORE_EINTERNAL = 11,   /* a bug in nbcore: please report it with the message */
  NBCORE_EINTERRUPTED = 12 /* the `interrupt` of the options asked for it */
} nbcore_status;

/* A loaded potential, or committee of potentials, whose results are the means over its members. Handles are never used twice: one that was freed is an error (NBCORE_EARG), not a crash. */
typedef struct nbcore_model nbcore_model;

/* Release of the library, "0.1.0". */
NBCORE_API const char* nbcore_version(void);

/* What went wrong in the last call of this thread that did not return NBCORE_OK; UTF-8, valid until the next such call.
 */
NBCORE_API const char* nbcore_message(void);

/* errno of the last NBCORE_EIO of this thread. */
NBCORE_API int nbcore_errno(void);

/* Reads a model file and checks that it is intact.
 * NBCORE_EARG, NBCORE_EIO, NBCORE_EMODEL, NBCORE_EMEMORY; *model is set on success only. */
NBCORE_API nbcore_status nbcore_load(const char* path, nbcore_model** model);

/* Gives a model back. NULL is allowed; calls that still run on other threads end well. NBCORE_EARG. */
NBCORE_API nbcore_status nbcore_free(nbcore_model* model);

/* Radius of a neighbourhood, Angstrom. NBCORE_EARG. */
NBCORE_API nbcore_status nbcore_cutoff(const nbcore_model* model, double* cutoff);

/* The elements of a model: *n is how many; the first `capacity` atomic numbers, ascending, go to numbers (may be NULL
 * if capacity is 0). NBCORE_EARG. */
NBCORE_API nbcore_status nbcore_species(const nbcore_model* model, int capacity, int* numbers, int* n);

/* SHA-256 that the file holds which the model was read from: 64 hexadecimal digits and a zero. Two models with the same
 * digest are the same to the last bit. NBCORE_EARG. */
NBCORE_API nbcore_status nbcore_digest(const nbcore_model* model, char digest[65]);

/* Precision of evaluations whose options do not say, in bits: 64 (the default) or 32, about twice as fast; distances
 * and sums are double in both. Calls that run on other threads end as they began. NBCORE_EARG. */
NBCORE_API nbcore_status nbcore_set_precision(nbcore_model* model, int bits);

/* Neighbours are searched for within the cutoff plus this skin, Angstrom (0.5), and the pairs kept while atoms move
 * less than half of it, so that most steps of molecular dynamics search for none. The results have the same bits with
 * any skin; 0 searches in every call. Kept pairs take 16 bytes each. NBCORE_EARG. */
NBCORE_API nbcore_status nbcore_set_skin(nbcore_model* model, double skin);

/* How often the calls of this model have searched for neighbours so far. NBCORE_EARG. */
NBCORE_API nbcore_status nbcore_searches(const nbcore_model* model, int64_t* searches);

/* Memory that an evaluation may take, bytes; 0, as in the beginning: no bound. A system that would take more is
 * evaluated in parts, one after the other: the same results to rounding, for some more work, the same bits for any
 * number of threads. What a thread works with, some MB, comes on top. Where the smallest parts do not fit, or the model
 * works on a composition scheme, nbcore_evaluate gives NBCORE_EARG. NBCORE_EARG. */
NBCORE_API nbcore_status nbcore_set_max_bytes(nbcore_model* model, int64_t bytes);

/* Energy, forces and virial of one structure.
 *
 * n          number of atoms; 0 is allowed
 * positions  [n][3]
 * numbers    [n] atomic numbers
 * cell       [3][3], rows are the cell vectors; those along directions that are not periodic only have to be
 *            finite. NULL: no cell
 * pbc        [3], each 0 or 1: periodic along this vector. NULL: not periodic
 * threads    0: NBCORE_NUM_THREADS, else OMP_NUM_THREADS, else one. The results have the same bits for any number
 * energy     [1] total energy, reference energies of the elements included
 * forces     [n][3], -dE/dr
 * virial     [3][3], -dE/d(strain) = sum of r (x) f; stress = -virial / volume
 * energies   [n], per atom; their sum is energy
 *
 * Outputs may be NULL where not wanted; they must not overlap the inputs. NBCORE_EARG, NBCORE_ESHAPE,
 * NBCORE_ENONFINITE, NBCORE_ECELL, NBCORE_EOVERLAP, NBCORE_ESPECIES, NBCORE_ENUMERICS, NBCORE_EMEMORY. */
NBCORE_API nbcore_status nbcore_evaluate(const nbcore_model* model, int64_t n, const double* positions,
                                         const int* numbers, const double* cell, const int* pbc, int threads,
                                         double* energy, double* forces, double* virial, double* energies);

/* A composition scheme: the parts of one structure, for models that work on them. It is made once, from the bottom up,
 * and stays as it is while the atoms move. */
typedef struct nbcore_scheme nbcore_scheme;

/* An empty scheme of a structure of n_atoms atoms. NBCORE_EARG, NBCORE_ESHAPE, NBCORE_EMEMORY. */
NBCORE_API nbcore_status nbcore_scheme_new(int64_t n_atoms, nbcore_scheme** scheme);

/* One more set of nodes.
 *
 * name          as the model calls it
 * children      what its nodes are made of: "atoms", or a set that was added before
 * n_nodes       number of nodes
 * classes       [n_nodes] weight-sharing classes; NULL: all 0
 * atom_first    [n_nodes + 1]: the atoms of node k are atoms[atom_first[k]] .. atoms[atom_first[k+1] - 1]
 * atoms, coefficients, atom_images   a node stands at the sum of coefficient (position + image . cell) over its atoms;
 *               coefficients of a node have the sum 1; images [..][3], NULL: none
 * child_first, child, child_images   the children of the nodes in the same way
 *
 * The arrays are copied. After its first use a scheme can no longer be changed. NBCORE_EARG, NBCORE_ESHAPE,
 * NBCORE_EMEMORY. */
NBCORE_API nbcore_status nbcore_scheme_add(nbcore_scheme* scheme, const char* name, const char* children,
                                           int64_t n_nodes, const int* classes, const int64_t* atom_first,
                                           const int* atoms, const double* coefficients, const int* atom_images,
                                           const int64_t* child_first, const int* child, const int* child_images);

/* For periodic cells: where the images of the scheme belong, [n_atoms][3], the atoms' places in units of the cell
 * vectors. Atoms that are wrapped back into the cell later are taken in the image nearest to their place. NBCORE_EARG.
 */
NBCORE_API nbcore_status nbcore_scheme_reference(nbcore_scheme* scheme, const double* places);

/* How one evaluation is done; it goes by value into the call, so that calls on other threads may do it otherwise. */
typedef struct nbcore_options {
  size_t size;                  /* sizeof(nbcore_options) */
  int threads;                  /* as of nbcore_evaluate */
  int precision;                /* bits, 64 or 32; 0: what nbcore_set_precision says */
  int (*interrupt)(void* data); /* NULL, or asked some ten times a second, on the thread of the call: other than 0
                                       ends it with NBCORE_EINTERRUPTED, the outputs as they were */
  void* interrupt_data;         /* for it */
} nbcore_options;

/* What options begin with:  nbcore_options options = NBCORE_OPTIONS; */
#define NBCORE_OPTIONS {sizeof(nbcore_options), 0, 0, NULL, NULL}

/* nbcore_evaluate with options (NULL: as they begin), and with the scheme of a model that works on one (others: NULL).
 * Statuses as of nbcore_evaluate; NBCORE_EINTERRUPTED. */
NBCORE_API nbcore_status nbcore_evaluate_with(const nbcore_model* model, nbcore_scheme* scheme, int64_t n,
                                              const double* positions, const int* numbers, const double* cell,
                                              const int* pbc, const nbcore_options* options, double* energy,
                                              double* forces, double* virial, double* energies);

/* What a model knows of its errors, see nbcore_evaluate_uncertainty. */
typedef enum nbcore_uncertainty_kind {
  NBCORE_NO_UNCERTAINTY = 0,
  NBCORE_LAST_LAYER = 1, /* how far the last layer's features are from those of the training */
  NBCORE_COMMITTEE = 2   /* the spread of the members */
} nbcore_uncertainty_kind;

/* Which of them this model has. NBCORE_EARG. */
NBCORE_API nbcore_status nbcore_uncertainty(const nbcore_model* model, nbcore_uncertainty_kind* kind);

/* nbcore_evaluate_with, and how large the errors are expected to be:
 *
 * energy_uncertainty  [1] of the energy, eV
 * forces_uncertainty  [n] of a force component on each atom, eV/Angstrom (root mean square)
 * grades              [n] extrapolation grades: 1 is the farthest from the others of its element in training, larger is
 *                     farther; NULL for a committee, which has none
 *
 * Statuses as of nbcore_evaluate_with; NBCORE_EARG where the model has no uncertainty. */
NBCORE_API nbcore_status nbcore_evaluate_uncertainty(const nbcore_model* model, nbcore_scheme* scheme, int64_t n,
                                                     const double* positions, const int* numbers, const double* cell,
                                                     const int* pbc, const nbcore_options* options, double* energy,
                                                     double* forces, double* virial, double* energies,
                                                     double* energy_uncertainty, double* forces_uncertainty,
                                                     double* grades);

/* Gives a scheme back. NULL is allowed. NBCORE_EARG. */
NBCORE_API nbcore_status nbcore_scheme_free(nbcore_scheme* scheme);

/* nbcore_evaluate for a model that works on a composition scheme; the scheme is checked at its first use. */
NBCORE_API nbcore_status nbcore_evaluate_scheme(const nbcore_model* model, nbcore_scheme* scheme, int64_t n,
                                                const double* positions, const int* numbers, const double* cell,
                                                const int* pbc, int threads, double* energy, double* forces,
                                                double* virial, double* energies);

#ifdef __cplusplus
}
#endif

#endif /* NBCORE_H */
