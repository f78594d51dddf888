"""The rules that hold in every folder: what nobody mirrors on purpose, and what must not leak.

Lines of gitignore(5). `ALWAYS` stays when a folder says `default_ignore = false`. Being the first
source, every line here can be taken back by a later `!` rule. Left out on purpose because
people do mirror them: `*.tmp`, `*.log`, `*.bak`, `build/`, `dist/`.
"""

__all__ = ["ALWAYS", "DEFAULT"]

ALWAYS = b"""\
# the rule files themselves
.ferryignore
"""

DEFAULT = (
    ALWAYS
    + rb"""
# version control; `.git` is a file in worktrees and submodules
.git
.hg/
.svn/
.bzr/
.jj/
_darcs/
CVS/

# dependencies and caches
node_modules/
.venv/
venv/
__pycache__/
*.pyc
.tox/
.nox/
.mypy_cache/
.pytest_cache/
.ruff_cache/
.hypothesis/
.ipynb_checkpoints/
.cache/
.gradle/
.terraform/
.direnv/

# what editors and desktops keep while a file is open
*.swp
*.swo
*.swn
*~
.#*
\#*#
.~lock.*#
~$*
.*.kate-swp
.goutputstream-*
.fuse_hidden*
.nfs[0-9a-f]*

# half a download, half a synchronisation
*.part
*.partial
*.filepart
*.crdownload
*.opdownload
*.aria2
.syncthing.*.tmp
~syncthing~*.tmp

# litter of operating systems
.DS_Store
._*
.AppleDouble/
.Spotlight-V100/
.TemporaryItems/
.fseventsd/
.Trashes
.Trash/
.Trash-*/
lost+found/
Thumbs.db
ehthumbs.db
desktop.ini
Desktop.ini
$RECYCLE.BIN/
System Volume Information/

# secrets: settings of programs
.env
.env.*
!.env.example
!.env.sample
!.env.template
.envrc
.netrc
_netrc
.pgpass
.my.cnf
.npmrc
.yarnrc.yml
.pypirc
.git-credentials
.htpasswd
.boto
.s3cfg
.dockercfg
.vault-token
.terraformrc
rclone.conf
credentials.tfrc.json
application_default_credentials.json
client_secret*.json
*.tfstate
*.tfstate.backup
*.tfvars
.*_history

# secrets: private keys; a certificate in the same form is left out with them
id_rsa
id_dsa
id_ecdsa
id_ecdsa_sk
id_ed25519
id_ed25519_sk
*.pem
*.key
*.p8
*.p12
*.pfx
*.ppk
*.jks
*.keystore
*.keytab
*.ovpn
*.kdb
*.kdbx

# secrets: directories
.ssh/
.aws/
.azure/
.gnupg/
.kube/
.password-store/
.pulumi/
**/.docker/config.json
**/.config/gcloud/
**/.config/gh/
**/.cargo/credentials*
**/.gem/credentials
**/.streamlit/secrets.toml
"""
)
