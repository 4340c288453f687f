/* Composition schemes: made, used, misused. */
#include <limits.h>
#include <math.h>
#include <string.h>

#include "driver.h"

static nbcore_status add_parts(nbcore_scheme* scheme, const parts* p) {
  return nbcore_scheme_add(scheme, "part1", "atoms", 2, NULL, p->atom_first, p->atoms, p->coefficients, p->images,
                           p->child_first, p->atoms, p->images);
}

static nbcore_status add_root(nbcore_scheme* scheme, const parts* p) {
  return nbcore_scheme_add(scheme, "part2", "part1", 1, NULL, p->root_first, p->root_atoms, p->root_coefficients, NULL,
                           p->root_child_first, p->root_children, NULL);
}

nbcore_scheme* scheme_of(const parts* p) {
  nbcore_scheme* scheme = NULL;
  OK(nbcore_scheme_new(p->n, &scheme));
  OK(add_parts(scheme, p));
  OK(add_root(scheme, p));
  return scheme;
}

/* A scheme with something wrong in it is refused when it is made or at its first use. */
static void refused(int line, const nbcore_model* tree, const structure* s, const parts* p, const char* words) {
  nbcore_scheme* scheme = NULL;
  result r;
  nbcore_status status;
  OK(nbcore_scheme_new(p->n, &scheme));
  status = add_parts(scheme, p);
  if (status == NBCORE_OK) status = add_root(scheme, p);
  if (status == NBCORE_OK) status = run(tree, scheme, s, &r);
  if (status == NBCORE_ESHAPE || status == NBCORE_ENONFINITE) status = NBCORE_EARG;
  check(line, __FILE__, "a scheme", (int)status, NBCORE_EARG, words);
  OK(nbcore_scheme_free(scheme));
}

void composition_schemes(const nbcore_model* tree, const nbcore_model* plain) {
  const structure s = crystal(3, 1, 3, 0);
  parts good, p;
  nbcore_scheme *scheme, *never = NULL;
  result first, r;
  double places[3 * MOST] = {0};
  int i;
  fill(&good, (int)s.n);
  scheme = scheme_of(&good);
  OK(nbcore_scheme_reference(scheme, places));
  OK(run(tree, scheme, &s, &first));
  OK(run(tree, scheme, &s, &r));
  TRUE(memcmp(&r, &first, sizeof r) == 0 && isfinite(r.energy));
  EXPECT(NBCORE_EARG, "used already", add_parts(scheme, &good));
  EXPECT(NBCORE_EARG, "used already", nbcore_scheme_reference(scheme, places));
  EXPECT(NBCORE_EARG, "scheme", evaluate(tree, &s, &r));
  EXPECT(NBCORE_EARG, "scheme is NULL", run(tree, NULL, &s, &r));
  EXPECT(NBCORE_EARG, "handle", run(tree, (nbcore_scheme*)tree, &s, &r));
  run(plain, scheme, &s, &r); /* a model without schemes may refuse it or leave it aside */
  OK(nbcore_scheme_free(scheme));
  OK(nbcore_scheme_free(NULL));
  EXPECT(NBCORE_EARG, "was it freed?", nbcore_scheme_free(scheme));
  EXPECT(NBCORE_EARG, "was it freed?", run(tree, scheme, &s, &r));
  EXPECT(NBCORE_EARG, "was it freed?", add_parts(scheme, &good));
  EXPECT(NBCORE_EARG, "scheme is NULL", nbcore_scheme_new(0, NULL));
  EXPECT(NBCORE_ESHAPE, "n_atoms", nbcore_scheme_new(INT64_MIN, &never));
  EXPECT(NBCORE_ESHAPE, "n_atoms", nbcore_scheme_new(INT64_MAX, &never));
  TRUE(never == NULL);

  OK(nbcore_scheme_new(s.n, &scheme));
  EXPECT(NBCORE_EARG, "places is NULL", nbcore_scheme_reference(scheme, NULL));
  for (i = 0; i < 7; ++i) { /* each pointer that may not be NULL */
    const nbcore_status status = nbcore_scheme_add(scheme, i == 0 ? NULL : "part1", i == 1 ? NULL : "atoms", 2, NULL,
                                                   i == 2 ? NULL : good.atom_first, i == 3 ? NULL : good.atoms,
                                                   i == 4 ? NULL : good.coefficients, NULL,
                                                   i == 5 ? NULL : good.child_first, i == 6 ? NULL : good.atoms, NULL);
    EXPECT(NBCORE_EARG, "is NULL", status);
  }
  EXPECT(NBCORE_ESHAPE, "n_nodes",
         nbcore_scheme_add(scheme, "part1", "atoms", INT64_MIN, NULL, good.atom_first, good.atoms, good.coefficients,
                           NULL, good.child_first, good.atoms, NULL));
  {
    const int64_t huge[3] = {0, INT64_MAX / 2, INT64_MAX - 1}, below[3] = {0, 1, -1};
    EXPECT(NBCORE_ESHAPE, "atom_first", nbcore_scheme_add(scheme, "part1", "atoms", 2, NULL, huge, good.atoms,
                                                          good.coefficients, NULL, good.child_first, good.atoms, NULL));
    EXPECT(NBCORE_ESHAPE, "child_first", nbcore_scheme_add(scheme, "part1", "atoms", 2, NULL, good.atom_first, good.atoms,
                                                           good.coefficients, NULL, huge, good.atoms, NULL));
    EXPECT(NBCORE_ESHAPE, "atom_first", nbcore_scheme_add(scheme, "part1", "atoms", 2, NULL, below, good.atoms,
                                                          good.coefficients, NULL, good.child_first, good.atoms, NULL));
  }
  EXPECT(NBCORE_EARG, "", run(tree, scheme, &s, &r)); /* an empty one */
  OK(nbcore_scheme_free(scheme));

  p = good, p.atoms[0] = -1, refused(__LINE__, tree, &s, &p, "");
  p = good, p.atoms[5] = INT_MAX, refused(__LINE__, tree, &s, &p, "");
  p = good, p.atoms[5] = (int)s.n, refused(__LINE__, tree, &s, &p, "");
  p = good, p.coefficients[0] *= 2, refused(__LINE__, tree, &s, &p, "sum 1");
  p = good, p.coefficients[0] = NAN, refused(__LINE__, tree, &s, &p, "");
  p = good, p.root_coefficients[3] = INFINITY, refused(__LINE__, tree, &s, &p, "");
  p = good, p.root_children[0] = 2, refused(__LINE__, tree, &s, &p, "");
  p = good, p.root_children[0] = INT_MIN, refused(__LINE__, tree, &s, &p, "");
  p = good, p.atom_first[1] = -1, refused(__LINE__, tree, &s, &p, "");
  p = good, p.atom_first[2] = -1, refused(__LINE__, tree, &s, &p, "");
  p = good, p.atom_first[1] = s.n + 1, refused(__LINE__, tree, &s, &p, "");
  p = good, p.atom_first[0] = 1, refused(__LINE__, tree, &s, &p, "");
  p = good, p.child_first[1] = INT64_MAX, refused(__LINE__, tree, &s, &p, "");
  p = good, p.child_first[2] = INT64_MIN, refused(__LINE__, tree, &s, &p, "");
  fill(&p, 5), refused(__LINE__, tree, &s, &p, "5 atoms");
  p = good, p.images[7] = INT_MAX, p.images[8] = INT_MIN; /* a part with one atom at the end of the world */
  scheme = scheme_of(&p);
  run(tree, scheme, &s, &r);
  OK(nbcore_scheme_free(scheme));
}
