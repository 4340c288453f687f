#!/bin/bash
# The same under PBS:  qsub -v CONFIG=train.toml pbs.sh
#PBS -N nbcore
#PBS -l select=1:ncpus=16:mpiprocs=16
#PBS -l walltime=04:00:00
#PBS -r y
#PBS -j oe

cd "$PBS_O_WORKDIR"
mpiexec nbcore train "$CONFIG" --set training.max_time=3h50m
# stopped by max_time it ends with 0 and says so: the same command, in the next job, goes on
