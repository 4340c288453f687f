#!/bin/bash
# Without a scheduler, and without an end:  nohup ./plain.sh train.toml 4 &
# Goes on after whatever has stopped it, but for errors that another try does not mend.
config=$1 ranks=${2:-2}
while true; do
  mpiexec -n "$ranks" nbcore train "$config"
  code=$?
  case $code in
    0) exit 0 ;;
    2 | 3 | 4 | 5 | 6 | 130) exit $code ;; # usage, data, model, numerics, files; Ctrl-C
  esac
  echo "ended with $code, goes on in ten seconds" >&2
  sleep 10
done
