#!/bin/bash
# A training of many ranks that outlives its time limit and preemption:  sbatch slurm.sh train.toml
#SBATCH --job-name=nbcore
#SBATCH --ntasks=2              # ranks; nbcore train --dry-run says how many are of use
#SBATCH --cpus-per-task=1       # threads of each
#SBATCH --time=04:00:00
#SBATCH --signal=USR1@300       # five minutes before the end: the ranks finish their step and save
#SBATCH --requeue               # after preemption the job comes again
#SBATCH --open-mode=append
#SBATCH --output=%x.out

srun --kill-on-bad-exit=1 nbcore train "$1"
code=$?
if [ $code = 138 ]; then        # saved, not finished (143 after scancel is the end): again, as one more job in the queue
  scontrol requeue "$SLURM_JOB_ID"
fi
exit $code
