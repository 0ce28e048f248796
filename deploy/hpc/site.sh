# shellcheck shell=bash
# What to change: read by every script of this directory. Anything set in the environment already is left as it is. None of
# these names begins with TRIBUTARY_: the programs would take them for their flags.

# Who you are to the federation: the site whose data these nodes train on.
: "${HPC_SITE:=my-cluster}"
# A host that the nodes reach by ssh without a password, and that reaches the services.
: "${HPC_LOGIN:=login1}"
# The services as the login node sees them.
: "${HPC_COORDINATOR:=federation.example.org:7700}"
: "${HPC_BLOB_STORE:=federation.example.org:7710}"
# The binaries, on a file system that the nodes see.
: "${HPC_BIN:=$HOME/tributary/build/bin}"
# Where metrics, logs and error feedback are kept between jobs; a directory for each trainer is made in it.
: "${HPC_WORK:=$HOME/tributary-work}"
# NAME=PATH of data that jobs name, and of what is given to whoever asks for it by name; several are separated by blanks.
: "${HPC_DATA:=}"
: "${HPC_OFFERS:=}"
: "${HPC_TRAINERS_PER_NODE:=1}"
# More words for every trainer, as: --memory-budget 256MiB --train-threads 16
: "${HPC_TRAINER_WORDS:=}"
# The federation's job: the nodes are given back when it has ended. Empty: they stay until the walltime.
: "${HPC_JOB:=}"
# More words for ssh, as: -i ~/.ssh/tributary -p 2222
: "${HPC_SSH_WORDS:=}"
