#!/bin/sh
# Stands in for the part of AWS's nodejs bootstrap that makes the layers loadable.
#
#   stand_in_bootstrap_node.sh OPT MAJOR NODE ARGUMENT...
#
# OPT is what /opt is on the service, MAJOR the runtime's version, NODE the program in place of /var/lang/bin/node.
set -eu
opt=$1 major=$2
shift 2

# An empty NODE_PATH counts as not set.
if [ -z "${NODE_PATH-}" ]; then
  NODE_PATH=$opt/nodejs/node$major/node_modules:$opt/nodejs/node_modules
  NODE_PATH=$NODE_PATH:$LAMBDA_RUNTIME_DIR/node_modules:$LAMBDA_RUNTIME_DIR:$LAMBDA_TASK_ROOT
  export NODE_PATH
fi
exec "$@"
