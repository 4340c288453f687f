/* Every call of the C ABI with no memory left, from each of its allocations on: one by one the first, the second, ...
 * is refused, and all after it or that one alone.
 *
 *     out_of_memory MODEL TREE-MODEL
 *
 * A refused allocation ends in NBCORE_EMEMORY, or is survived with NBCORE_OK; outputs of calls that failed are as they
 * were, and the same call works afterwards with the same bits. The program's own malloc stands before that of the C
 * library, and so behind operator new as well. tests/interfaces/test_out_of_memory.py compiles and runs it. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "c_driver/driver.h"

void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);

static long left = -1;                 /* allocations until one is refused; negative: none is */
static int from_then_on, refusals = 0; /* whether those after it are refused too; how many were */

static int refused(void) {
  if (left < 0) return 0;
  if (left > 0) {
    --left;
    return 0;
  }
  if (!from_then_on && refusals > 0) return 0;
  ++refusals;
  errno = ENOMEM;
  return 1;
}

void* malloc(size_t n) { return refused() ? NULL : __libc_malloc(n); }
void* calloc(size_t n, size_t size) { return refused() ? NULL : __libc_calloc(n, size); }
void* realloc(void* p, size_t n) { return refused() ? NULL : __libc_realloc(p, n); }
void* memalign(size_t alignment, size_t n) { return refused() ? NULL : __libc_memalign(alignment, n); }
void* aligned_alloc(size_t alignment, size_t n) { return memalign(alignment, n); }
int posix_memalign(void** p, size_t alignment, size_t n) { return (*p = memalign(alignment, n)) ? 0 : ENOMEM; }

static const char *path, *tree_path;
static nbcore_model *model = NULL, *tree = NULL;
static nbcore_scheme* scheme = NULL;
static structure s;
static parts p;
static result r, untouched, expected;

static nbcore_status load_it(void) {
  nbcore_model* loaded = NULL;
  const nbcore_status status = nbcore_load(path, &loaded);
  TRUE((loaded == NULL) == (status != NBCORE_OK));
  return status != NBCORE_OK ? status : nbcore_free(loaded);
}

static nbcore_status load_tree(void) {
  nbcore_model* loaded = NULL;
  const nbcore_status status = nbcore_load(tree_path, &loaded);
  TRUE((loaded == NULL) == (status != NBCORE_OK));
  return status != NBCORE_OK ? status : nbcore_free(loaded);
}

static nbcore_status evaluated(nbcore_scheme* with, const nbcore_model* by) {
  const nbcore_status status = with ? run(by, with, &s, &r) : evaluate(by, &s, &r);
  TRUE(memcmp(&r, status == NBCORE_OK ? &expected : &untouched, sizeof r) == 0);
  return status;
}

static nbcore_status evaluate_plain(void) { return evaluated(NULL, model); }

/* Of a model that has never been evaluated: packing, splines and neighbour lists are made. */
static nbcore_status evaluate_first(void) {
  nbcore_model* fresh = NULL;
  nbcore_status status;
  const long then = left;
  left = -1;
  OK(nbcore_load(path, &fresh));
  left = then;
  status = evaluated(NULL, fresh);
  OK(nbcore_free(fresh)); /* needs no memory */
  return status;
}

static nbcore_status change_precision(void) {
  nbcore_status status = nbcore_set_precision(model, 32);
  if (status == NBCORE_OK) status = nbcore_set_precision(model, 64);
  return status == NBCORE_OK ? evaluated(NULL, model) : status;
}

static nbcore_status refuse_input(void) { /* errors need memory for their words */
  const int number = s.numbers[0];
  nbcore_status status;
  result ignored;
  s.numbers[0] = 99;
  status = evaluate(model, &s, &ignored);
  s.numbers[0] = number;
  return status == NBCORE_ESPECIES ? NBCORE_OK : status;
}

static nbcore_status missing_file(void) {
  nbcore_model* loaded = NULL;
  const nbcore_status status = nbcore_load("/nowhere/at/all/with/a/name/that/is/long.nbcore", &loaded);
  TRUE(loaded == NULL);
  return status == NBCORE_EIO ? NBCORE_OK : status;
}

static nbcore_status make_scheme(void) {
  nbcore_scheme* made = NULL;
  nbcore_status status = nbcore_scheme_new(p.n, &made);
  if (status != NBCORE_OK) return status;
  status = nbcore_scheme_add(made, "part1", "atoms", 2, NULL, p.atom_first, p.atoms, p.coefficients, p.images,
                             p.child_first, p.atoms, p.images);
  if (status == NBCORE_OK)
    status = nbcore_scheme_add(made, "part2", "part1", 1, NULL, p.root_first, p.root_atoms, p.root_coefficients, NULL,
                               p.root_child_first, p.root_children, NULL);
  if (status == NBCORE_OK) status = evaluated(made, tree);
  OK(nbcore_scheme_free(made));
  return status;
}

static nbcore_status evaluate_tree(void) { return evaluated(scheme, tree); }

/* Refuses the first allocation of a call, then its second and so on, until the call needs no more. */
static void without_memory(const char* name, nbcore_status (*call)(void)) {
  long k;
  int fired = 1;
  for (k = 0; fired && k < 1000000; ++k) {
    for (from_then_on = 0; from_then_on < 2; ++from_then_on) {
      nbcore_status status;
      refusals = 0, left = k;
      status = call();
      left = -1, fired = refusals > 0;
      if (fired ? status != NBCORE_EMEMORY && status != NBCORE_OK : status != NBCORE_OK) {
        printf("%s: allocation %ld%s: status %d, %s\n", name, k, from_then_on ? " and all after it" : "", (int)status,
               nbcore_message());
        ++wrong;
      }
      ++checks;
    }
  }
  if (call() != NBCORE_OK) printf("%s does not work afterwards\n", name), ++wrong;
  printf("%s: %ld allocations\n", name, k - 1);
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  path = argv[1], tree_path = argv[2];
  model = load(path), tree = load(tree_path);
  untouch(&untouched);
  s = crystal(3, 1, 3, 0), fill(&p, (int)s.n), scheme = scheme_of(&p);
  for (s.threads = 1; s.threads < 3; ++s.threads) {
    OK(evaluate(model, &s, &expected));
    without_memory("evaluate", evaluate_plain);
    without_memory("evaluate first", evaluate_first);
    without_memory("set precision", change_precision);
    OK(run(tree, scheme, &s, &expected));
    without_memory("evaluate with scheme", evaluate_tree);
    without_memory("make scheme", make_scheme);
  }
  without_memory("refuse", refuse_input);
  without_memory("missing file", missing_file);
  without_memory("load", load_it);
  without_memory("load tree", load_tree);
  OK(nbcore_free(model)), OK(nbcore_free(tree)), OK(nbcore_scheme_free(scheme));
  printf("%d checks, %d wrong\n", checks, wrong);
  return wrong != 0;
}
