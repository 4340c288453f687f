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

/* The same from the bytes of a model file, which may go when the call has returned: a parallel program reads the file
 * once and sends it around. NBCORE_EARG, NBCORE_EMODEL, NBCORE_EMEMORY. */
NBCORE_API nbcore_status nbcore_load_memory(const void* bytes, size_t n, nbcore_model** model);

/* Gives a model back. NULL is allowed; calls that still run on other threads end well. NBCORE_EARG. */
NBCORE_API nbcore_status nbcore_free(nbcore_model* model);

/* Radius of a neighbourhood, Angstrom. NBCORE_EARG. */
NBCORE_API nbcore_status nbcore_cutoff(const nbcore_model* model, double* cutoff);

/* The elements of a model: *n is how many; the first `capacity` atomic numbers, ascending, go to numbers (may be NULL
 * if capacity is 0). NBCORE_EARG. */
NBCORE_API nbcore_status nbcore_species(const nbcore_model* model, int capacity, int* numbers, int* n);

/* SHA-256 of all that decides what the model computes, program, parameters, energies: 64 hexadecimal digits and a zero.
 * Notes in its file, a certificate among them, change nothing: two models with the same digest compute the same bits.
 * NBCORE_EARG. */
NBCORE_API nbcore_status nbcore_digest(const nbcore_model* model, char digest[65]);

/* Computes the golden cases that the model's file keeps, structures with their energy, forces and virial as they were
 * where it was written: does this build on this machine compute what that one did? *cases is how many there are, 0 in
 * files of committees and of models with leaf states; *difference the largest difference, in units of the largest number
 * of its kind, at least 1 eV or eV/Angstrom. Always in double precision. NBCORE_EMODEL where it is larger than 1e-10, or
 * the cases are damaged; NBCORE_EARG, also for models that work on a composition scheme. */
NBCORE_API nbcore_status nbcore_check_golden(const nbcore_model* model, int* cases, double* difference);

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

/* Gives a scheme back. NULL is allowed. NBCORE_EARG. */
NBCORE_API nbcore_status nbcore_scheme_free(nbcore_scheme* scheme);

/* ---- one call for everything ---- */

/* How one evaluation is done; it goes by value into the call, so that calls on other threads may do it otherwise. */
typedef struct nbcore_options {
  size_t size;   /* sizeof(nbcore_options) */
  int threads;   /* 0: NBCORE_NUM_THREADS, else OMP_NUM_THREADS, else one; the same bits for any number */
  int precision; /* bits, 64 or 32; 0: what nbcore_set_precision says */
  int (*interrupt)(void* data); /* NULL, or asked some ten times a second, on the thread of the call: other than 0
                                       ends it with NBCORE_EINTERRUPTED, the outputs as they were */
  void* interrupt_data;         /* for it */
  double skin;                  /* Angstrom; -1: what nbcore_set_skin says */
  int64_t max_bytes;            /* -1: what nbcore_set_max_bytes says; of whole structures alone */
} nbcore_options;

/* What options begin with:  nbcore_options options = NBCORE_OPTIONS; */
#define NBCORE_OPTIONS {sizeof(nbcore_options), 0, 0, NULL, NULL, -1, -1}

/* Atoms: a whole structure, or one domain of a larger system. What is not set is 0 or NULL. */
typedef struct nbcore_system {
  size_t size;                 /* sizeof(nbcore_system) */
  int64_t n;                   /* atoms whose energies are computed; 0 is allowed */
  int64_t n_ghosts;            /* after them: copies of atoms that others own, or images of these */
  const double* positions;     /* [n + n_ghosts][3] */
  const int* numbers;          /* [n + n_ghosts] atomic numbers */
  const double* cell;          /* [3][3] as of nbcore_evaluate; NULL: no cell */
  const int* pbc;              /* [3]; NULL: not periodic */
  nbcore_scheme* scheme;       /* of a model that works on one, else NULL */
  const double* const* leaves; /* of a model with leaf states: [k] points to [n + n_ghosts][numbers of leaf k] */
  /* A neighbour list of the caller's; n_rows = 0: neighbours are searched for. Pairs farther apart than the cutoff may
   * be in it (a skin), and are left out in each call. */
  int64_t n_rows;        /* n, or n + n_ghosts: do ghosts have rows, too? */
  const int64_t* first;  /* [n_rows + 1]: neighbours of atom i are neighbours[first[i]] .. [first[i + 1] - 1] */
  const int* neighbours; /* places among the n + n_ghosts atoms */
  const int* shifts;     /* [..][3] images of the neighbours in cell vectors; NULL: all in their places */
  int half;              /* 0: both directions of each pair. 1: pairs of two of the n atoms in the row of one of
                                       them alone, pairs with a ghost in the row of the atom */
  const int* owners;     /* [n_ghosts], where all ghosts are images of the n atoms: of which. Else NULL */
} nbcore_system;

/* What systems begin with:  nbcore_system system = NBCORE_SYSTEM; */
#define NBCORE_SYSTEM {sizeof(nbcore_system), 0, 0, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, 0, NULL}

/* Where results go: NULL where they are not wanted. They are written, not added to; they must not overlap inputs. */
typedef struct nbcore_result {
  size_t size;                /* sizeof(nbcore_result) */
  double* energy;             /* [1] of the n atoms, reference energies included */
  double* forces;             /* [n + n_ghosts][3]; those on ghosts are to be added to those on their owners */
  double* virial;             /* [3][3] sum of r (x) f; of a domain its part, to be added to those of the others */
  double* energies;           /* [n] per atom */
  double* virials;            /* [n + n_ghosts][3][3] per atom: [i][a][b] is the sum of r_a f_b over the pairs whose
                                       neighbour i is, r from the atom that has it to i, f on i. The sum is virial. Not
                                       symmetric; heat fluxes want it so */
  double* const* outputs;     /* [k] points to room for output k of the model, see nbcore_output, or is NULL */
  double* energy_uncertainty; /* [1], and the next two: as of nbcore_evaluate_uncertainty */
  double* forces_uncertainty; /* [n] */
  double* grades;             /* [n] */
} nbcore_result;

/* What results begin with:  nbcore_result result = NBCORE_RESULT; */
#define NBCORE_RESULT {sizeof(nbcore_result), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL}

/* Computes what is wanted of a system; options may be NULL.
 *
 * With ghosts: energies depend on atoms up to levels x cutoff away (ghost_range of nbcore_get_info). All atoms that
 * near must be among the ghosts, and those nearer than (levels - 1) x cutoff have their rows in the list, if there is
 * one; their states are computed here, too. A ghost that lacks its row is an error, one that is not there cannot be
 * seen. Cheaper for more than one level: owners, where all ghosts are images of the n atoms (ghosts within one cutoff
 * then, and all forces on the n atoms), or nbcore_levels. Outputs whose charges are multiplied by positions, bounds of
 * memory and composition schemes are for whole structures without list and ghosts.
 *
 * Statuses as of nbcore_evaluate; NBCORE_EINTERRUPTED. */
NBCORE_API nbcore_status nbcore_compute(const nbcore_model* model, const nbcore_system* system,
                                        const nbcore_options* options, const nbcore_result* result);

/* What a model is, in one call. */
typedef struct nbcore_info {
  size_t size;                  /* sizeof(nbcore_info) */
  double cutoff;                /* radius of a neighbourhood, Angstrom */
  double ghost_range;           /* levels x cutoff: so far away is what an energy depends on */
  double r_min;                 /* atoms nearer than this are on top of each other, Angstrom */
  int levels;                   /* how often atoms look at their neighbours */
  int species, outputs, leaves; /* how many it knows, gives, and reads */
  int members;                  /* of a committee; else 1 */
  int scheme;                   /* 1: it works on a composition scheme */
  const char* energy_unit;      /* "eV"; valid as long as the library is loaded, and the next two */
  const char* length_unit;      /* "Angstrom" */
  const char* kernel_set;       /* of this library: "x86-64-v4", "x86-64-v3" or "generic" */
} nbcore_info;

/* What infos begin with:  nbcore_info info = NBCORE_INFO; */
#define NBCORE_INFO {sizeof(nbcore_info), 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL}

/* Fills the info. NBCORE_EARG. */
NBCORE_API nbcore_status nbcore_get_info(const nbcore_model* model, nbcore_info* info);

/* Output k = 0 .. info.outputs - 1: its name (the first `capacity` bytes, a zero at the end included), how many numbers
 * it has, and whether they are of each atom (per_atom = 1: outputs of [n][numbers]) or of the structure. What is not
 * wanted may be NULL. Leaf states in the same way, which are always of each atom: [2l+1][channel]. Components are those
 * of real harmonics, m = -l .. l, for l after l: of a vector y, z, x. NBCORE_EARG. */
NBCORE_API nbcore_status nbcore_output(const nbcore_model* model, int k, int capacity, char* name, int* numbers,
                                       int* per_atom);
NBCORE_API nbcore_status nbcore_leaf(const nbcore_model* model, int k, int capacity, char* name, int* numbers);

/* How close two atoms of these elements came in the training, Angstrom; 0 where the model does not say. Nearer ones are
 * extrapolated. NBCORE_EARG; NBCORE_ESPECIES. */
NBCORE_API nbcore_status nbcore_closest(const nbcore_model* model, int number, int other, double* distance);

/* ---- level by level, for hosts that exchange states of ghosts themselves ---- */

/* Evaluations of one host on domains with ghosts within one cutoff. States of ghosts are computed by their owners:
 *
 *     nbcore_levels_new(model, &options, &levels);                        once
 *     nbcore_levels_begin(levels, &system, &result);                      in each step
 *     for (k = 1; k < info.levels; ++k) {
 *       nbcore_levels_forward(levels, k);
 *       nbcore_levels_read_states(levels, k, n, atoms, rows);             of owned atoms, to those who have copies ...
 *       nbcore_levels_write_states(levels, k, n, ghosts, rows);           ... of them
 *     }
 *     for (k = info.levels; k >= 1; --k) {
 *       nbcore_levels_adjoint(levels, k);
 *       if (k == 1) break;
 *       nbcore_levels_take_adjoints(levels, k - 1, n, ghosts, rows);      of ghosts, back to their owners ...
 *       nbcore_levels_add_adjoints(levels, k - 1, n, atoms, rows);        ... who add them
 *     }
 *     nbcore_levels_finish(levels);       then forces and virials of ghosts are added to those of their owners
 *
 * A domain without atoms makes the same calls. Rows of atoms are nbcore_levels_row_bytes long, whole doubles, whatever
 * the precision. Calls of one handle come one after the other. After an error the next nbcore_levels_begin is as good
 * as ever. */
typedef struct nbcore_levels nbcore_levels;

/* For evaluations of this model, which may be freed meanwhile; options as of all of them, NULL as they begin. The model
 * may not work on a composition scheme. NBCORE_EARG, NBCORE_EMEMORY. */
NBCORE_API nbcore_status nbcore_levels_new(const nbcore_model* model, const nbcore_options* options,
                                           nbcore_levels** levels);

/* Length of the row of an atom's states after a level; 0 after the last. NBCORE_EARG. */
NBCORE_API nbcore_status nbcore_levels_row_bytes(const nbcore_levels* levels, int level, size_t* bytes);

/* The next evaluation. The system is copied, rows of ghosts are not looked at. The arrays of the result must be there
 * until nbcore_levels_finish. Statuses as of nbcore_compute. */
NBCORE_API nbcore_status nbcore_levels_begin(nbcore_levels* levels, const nbcore_system* system,
                                             const nbcore_result* result);

/* States of the atoms after a level; all adjoints of a level; the results. NBCORE_EARG where the order is another,
 * NBCORE_ENUMERICS, NBCORE_EMEMORY, NBCORE_EINTERRUPTED. */
NBCORE_API nbcore_status nbcore_levels_forward(nbcore_levels* levels, int level);
NBCORE_API nbcore_status nbcore_levels_adjoint(nbcore_levels* levels, int level);
NBCORE_API nbcore_status nbcore_levels_finish(nbcore_levels* levels);

/* Rows of n atoms, atoms[n] their places: states out and in; adjoints out, which are zero then, and in, added to those
 * that are there. NBCORE_EARG. */
NBCORE_API nbcore_status nbcore_levels_read_states(nbcore_levels* levels, int level, int64_t n, const int* atoms,
                                                   void* rows);
NBCORE_API nbcore_status nbcore_levels_write_states(nbcore_levels* levels, int level, int64_t n, const int* atoms,
                                                    const void* rows);
NBCORE_API nbcore_status nbcore_levels_take_adjoints(nbcore_levels* levels, int level, int64_t n, const int* atoms,
                                                     void* rows);
NBCORE_API nbcore_status nbcore_levels_add_adjoints(nbcore_levels* levels, int level, int64_t n, const int* atoms,
                                                    const void* rows);

/* NULL is allowed. NBCORE_EARG. */
NBCORE_API nbcore_status nbcore_levels_free(nbcore_levels* levels);

/* ---- the same as functions ---- */

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

/* nbcore_evaluate for a model that works on a composition scheme; the scheme is checked at its first use. */
NBCORE_API nbcore_status nbcore_evaluate_scheme(const nbcore_model* model, nbcore_scheme* scheme, int64_t n,
                                                const double* positions, const int* numbers, const double* cell,
                                                const int* pbc, int threads, double* energy, double* forces,
                                                double* virial, double* energies);

#ifdef __cplusplus
}
#endif

#endif /* NBCORE_H */
