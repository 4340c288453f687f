// Between edges and atoms: forces on atoms from the adjoints of edge vectors, tangents of edge vectors from those of
// atoms, energies of atoms from those of nodes. A node at r = sum of c_k r_k hands on to its atoms with these c_k.
#pragma once
#include "base/vec3.hpp"
#include "network/sweep.hpp"

namespace nbcore {

/// Sums of edge forces: f, the force on the child; its parent, or partner, feels the opposite. children, parents: rows
/// of the children's and of the parents' set; virial += r (x) f.
template <class Real> void add_edge_forces(const Relation& relation, const GraphBlock& block, const Edges<Real>& edges,
                                           bool halo, Vec3* children, Vec3* parents, Mat3& virial);
/// What an edge adds to the virial, r (x) f, whole at its child: so heat fluxes want the virials of atoms whose
/// energies are those of their neighbourhoods.
template <class Real>
void add_edge_virials(const GraphBlock& block, const Edges<Real>& edges, bool halo, Mat3* children);
/// The same of the tangents: forces f_dot, virial r_dot (x) f + r (x) f_dot
void add_edge_force_tangents(const Relation& relation, const GraphBlock& block, const Edges<double>& edges,
                             Vec3* children, Vec3* parents, Mat3& virial);

/// Forces on nodes, per set in the order of the graph, added to forces on atoms in the order of the user
void add_forces_on_atoms(const Graph& graph, const std::vector<std::vector<Vec3>>& on_nodes, std::vector<Vec3>& forces);
/// And the same of their virials
void add_virials_on_atoms(const Graph& graph, const std::vector<std::vector<Mat3>>& on_nodes,
                          std::vector<Mat3>& virials);
/// What nodes of a set contribute, shared among their atoms. atoms: order of the user
void share_among_atoms(const Graph& graph, int set, const std::vector<double>& nodes, std::vector<double>& atoms);

/// Tangents of the nodes of all sets, in the order of the graph, when the atoms (order of the user) move along v
std::vector<std::vector<Vec3>> node_tangents(const Graph& graph, const std::vector<Vec3>& v);
/// Tangents of the edge vectors of a block, weight (v_child - v_parent + S r), as [3][stride]
void edge_tangents(const Relation& relation, const GraphBlock& block, const std::vector<std::vector<Vec3>>& v,
                   const Mat3& S, double weight, std::vector<double>& r_dot);
/// The same of all edges, r_dot[relation][block], where atoms are at r + t v, v in the order of the user
void set_edge_tangents(const Graph& graph, const std::vector<Vec3>& v, const Mat3& S,
                       std::vector<std::vector<std::vector<double>>>& r_dot);

}  // namespace nbcore
