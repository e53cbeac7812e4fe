#!/bin/sh
# Stands in for the part of AWS's ruby bootstrap that makes the layers loadable.
#
#   stand_in_bootstrap_ruby.sh OPT VERSION RUBY ARGUMENT...
#
# OPT is what /opt is on the service, VERSION the runtime's such as 3.4, RUBY the program in place of /var/lang/bin/ruby.
# Whether AWS's own keeps a GEM_PATH or RUBYLIB that the function configures is not known; this one keeps it.
set -eu
opt=$1 abi=$2.0
shift 2

: "${GEM_HOME:=$LAMBDA_RUNTIME_DIR}"
: "${GEM_PATH:=$LAMBDA_TASK_ROOT/vendor/bundle/ruby/$abi:$opt/ruby/gems/$abi:$LAMBDA_RUNTIME_DIR:$LAMBDA_RUNTIME_DIR/ruby/$abi}"
: "${RUBYLIB:=$LAMBDA_RUNTIME_DIR/gems/aws_lambda_ric-3.2.0/lib:$LAMBDA_TASK_ROOT:$LAMBDA_RUNTIME_DIR/lib:$opt/ruby/lib}"
export GEM_HOME GEM_PATH RUBYLIB
exec "$@"
