#!/bin/sh
# Makes the secrets that docker-compose.yml mounts, in the folder ./secrets (or the one given).
# What is there is left as it is, so that it can be run again. docs/deploy.md.
set -eu
cd "$(dirname "$0")/.."
folder=${1:-secrets}
mkdir -p "$folder"
chmod 700 "$folder" # nobody else on this host gets in; containers get single files, not the folder

# keep FILE PREFIX: 256 random bits, if there is no such file yet.
keep() {
    [ -e "$folder/$1" ] && return
    printf '%s%s\n' "$2" "$(head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n')" >"$folder/$1"
    echo "made $folder/$1"
}

# empty FILE: for what others gave you; empty means none.
empty() {
    [ -e "$folder/$1" ] || : >"$folder/$1"
}

keep passerby_database_password ''
keep passerby_admin_key passerby_
keep grafana_admin_password ''
empty passerby_milvus_token
empty aws_access_key_id
empty aws_secret_access_key
chmod 644 "$folder"/* # each container's user is another
