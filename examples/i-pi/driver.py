"""A model as a client of i-PI:  python driver.py molecule.nbcore molecule.xyz --unixsocket nbcore

i-PI (or another server of its protocol) moves the atoms, this program answers with energy, forces and virial until it
is told to end. The structure says the elements; positions and cell come over the socket.
"""

import argparse

import ase.io
from ase.calculators.socketio import SocketClient

from nbcore.ase import NBCoreCalculator


def main():
    """Connects, and computes what it is asked for."""
    p = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    p.add_argument("model")
    p.add_argument("structure", help="the atoms in the order of the server's: any file ASE reads")
    p.add_argument("--unixsocket", metavar="NAME", help="address in i-PI's <ffsocket mode='unix'>")
    p.add_argument("--host", default="localhost")
    p.add_argument("--port", type=int, default=31415)
    p.add_argument("--threads", type=int)
    args = p.parse_args()
    atoms = ase.io.read(args.structure)
    atoms.calc = NBCoreCalculator(args.model, threads=args.threads)
    client = SocketClient(args.host, args.port, unixsocket=args.unixsocket)
    client.run(atoms, use_stress=bool(atoms.pbc.all()))


if __name__ == "__main__":
    main()
