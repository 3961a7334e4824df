#!/usr/bin/env bash
# Written by labctl gradescope build. Gradescope runs this once, as root, while it builds the
# autograder's image. Everything that is needed is in the zip: it asks no network.
set -euo pipefail
source=${LABCTL_AUTOGRADER:-/autograder}/source

platform=$(uname -s)/$(uname -m)
if [[ $platform != Linux/x86_64 ]]; then
  echo "setup.sh: error: this autograder holds labctl for linux/amd64, and this is $platform" >&2
  echo "setup.sh: hint: choose a base image for x86_64 where the autograder is configured" >&2
  exit 1
fi

# Whoever unpacked the zip may have dropped its modes. Nobody but root, who runs the autograder, has
# business with what may hold the queue's password.
chmod 0700 "$source"
chmod 0755 "$source/labctl"
if [[ -e $source/queue ]]; then
  chmod 0600 "$source/queue"
fi

"$source/labctl" version # an image in which it does not start is not to be built
