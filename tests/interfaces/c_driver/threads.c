/* Four threads on one model, a model freed under them, and many cycles that must not grow. */
#define _POSIX_C_SOURCE 200809L /* sysconf, threads */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "driver.h"

/* ---- threads ---- */

static const nbcore_model *shared, *shared_tree;
static nbcore_scheme* shared_scheme;
static const char* shared_path;
static structure structures[4];
static result expected[4], expected_tree;

static void* worker(void* argument) {
  const int k = (int)(intptr_t)argument;
  intptr_t bad = 0;
  int i;
  result* r = malloc(sizeof *r);
  structure* s = malloc(sizeof *s);
  for (i = 0; i < 12; ++i) {
    nbcore_model* own = NULL;
    const int which = (k + i) % 4;
    *s = structures[which], s->threads = 1 + (k + i) % 3;
    bad += evaluate(shared, s, r) != NBCORE_OK || memcmp(r, &expected[which], sizeof *r) != 0;
    s->pbc[1] = 2 + k; /* each thread has its own message */
    bad += evaluate(shared, s, r) != NBCORE_EARG;
    bad += nbcore_message()[strlen(nbcore_message()) - 1] != '2' + k;
    *s = structures[0];
    bad += nbcore_load(shared_path, &own) != NBCORE_OK || nbcore_free(own) != NBCORE_OK;
    bad += evaluate(own, s, r) != NBCORE_EARG;
    *s = crystal(3, 1, 3, 0), s->threads = 1 + k;
    bad += run(shared_tree, shared_scheme, s, r) != NBCORE_OK || memcmp(r, &expected_tree, sizeof *r) != 0;
  }
  free(r), free(s);
  return (void*)bad;
}

/* Calls until the model has been freed under it by another thread. */
static void* until_freed(void* argument) {
  intptr_t bad = 0;
  nbcore_status status = NBCORE_OK;
  result* r = malloc(sizeof *r);
  (void)argument;
  while (status == NBCORE_OK) {
    status = evaluate(shared, &structures[3], r);
    bad += status == NBCORE_OK && memcmp(r, &expected[3], sizeof *r) != 0;
  }
  free(r);
  return (void*)(bad + (status != NBCORE_EARG));
}

void threads(const char* path, const char* tree_path) {
  nbcore_model *model = load(path), *tree = load(tree_path);
  pthread_t ids[4];
  parts p;
  structure s = crystal(3, 1, 3, 0);
  void* bad;
  intptr_t k;
  int more;
  structures[0] = molecule(), structures[1] = crystal(2, 1, 0, 1);
  structures[2] = crystal(5, 1, 1, 1), structures[3] = crystal(6, 0, 2, 1);
  for (k = 0; k < 4; ++k) OK(evaluate(model, &structures[k], &expected[k]));
  fill(&p, (int)s.n);
  shared_scheme = scheme_of(&p);
  OK(run(tree, shared_scheme, &s, &expected_tree));
  shared = model, shared_tree = tree, shared_path = path;
  for (k = 0; k < 4; ++k) TRUE(pthread_create(&ids[k], NULL, worker, (void*)k) == 0);
  for (k = 0; k < 4; ++k) {
    pthread_join(ids[k], &bad);
    TRUE(bad == NULL);
  }
  for (k = 0; k < 4; ++k) TRUE(pthread_create(&ids[k], NULL, until_freed, NULL) == 0);
  for (more = 0; more < 3; ++more) OK(evaluate(model, &structures[0], &expected[0]));
  OK(nbcore_free(model));
  for (k = 0; k < 4; ++k) {
    pthread_join(ids[k], &bad);
    TRUE(bad == NULL);
  }
  OK(nbcore_scheme_free(shared_scheme));
  OK(nbcore_free(tree));
}

/* ---- cycles ---- */

static long resident(void) { /* bytes; under the address sanitizer, which keeps freed memory for a while, nothing */
  long pages = 0;
#if !defined(__SANITIZE_ADDRESS__)
  FILE* f = fopen("/proc/self/statm", "r");
  if (f == NULL || fscanf(f, "%*d %ld", &pages) != 1) pages = 0;
  if (f != NULL) fclose(f);
#endif
  return pages * sysconf(_SC_PAGESIZE);
}

void cycles(const char* path, const char* tree_path, int n) {
  structure s = crystal(3, 1, 3, 0);
  parts p;
  result r;
  double difference;
  long before = 0;
  int i, golden;
  fill(&p, (int)s.n);
  for (i = 0; i < n; ++i) {
    nbcore_model* model = load(i % 10 == 0 ? tree_path : path);
    nbcore_scheme* scheme = scheme_of(&p);
    s.threads = 1 + i % 2;
    if (i % 10 == 0) OK(run(model, scheme, &s, &r));
    if (i % 10 == 1) OK(nbcore_check_golden(model, &golden, &difference));
    if (i % 10 != 0) OK(evaluate(model, &s, &r));
    if (i % 10 != 0)
      EXPECT(NBCORE_ESHAPE, "n must be", nbcore_evaluate(model, -1, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL));
    OK(nbcore_free(model));
    OK(nbcore_scheme_free(scheme));
    if (i == n / 4) before = resident();
  }
  i = (int)((resident() - before) / 1024);
  if (i > 1024) printf("%d kB more after %d cycles\n", i, n - n / 4), ++wrong;
}
