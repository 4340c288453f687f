#!/bin/bash
# A scan as a job array, eight trainings of which at most four run at a time:  sbatch --array=1-8%4 array.sh scan.toml
#SBATCH --job-name=scan
#SBATCH --cpus-per-task=1
#SBATCH --time=04:00:00
#SBATCH --signal=B:USR1@300     # five minutes before the end; scancel sends TERM, after which nothing comes again
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x_%a.out

nbcore scan "$1" --only "$SLURM_ARRAY_TASK_ID" &
trap 'kill -USR1 $!' USR1
trap 'kill -TERM $!' TERM
wait $! || wait $!              # the first ends when the signal comes
code=$?
if [ $code = 138 ]; then        # saved by USR1, not finished
  scontrol requeue "$SLURM_ARRAY_JOB_ID"_"$SLURM_ARRAY_TASK_ID"
fi
exit $code
