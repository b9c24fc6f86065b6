"""Commands and what the door says of them: the table that real bash is held against.

A row's text runs in a copy of the workspace that `workspace.lay_out` makes. An attack `bites` when bash, doing what the
text says, creates the file `canary` there.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class Row(msgspec.Struct, frozen=True):
    """One command. `says`: what it prints is the same whenever it runs."""

    text: str
    answer: str
    rules: tuple[str, ...] = ()
    bites: bool = False
    says: bool = True
    env: Mapping[str, str] = {}


def _rows(answer: str, texts: str, rules: tuple[str, ...] = (), *, bites: bool = False, says: bool = True) -> list[Row]:
    """Return a row for each line; `⏎` is a newline within a text."""
    lines = texts.strip("\n").split("\n")
    return [Row(line.replace("⏎", "\n"), answer, rules, bites, says) for line in lines]


READING = _rows(
    "allow",
    r"""
ls
ls -1
ls src
ls -1 src a.txt
ls -a
ls --all src
ls 'with space.txt'
ls with\ space.txt
ls "with space.txt"
ls -- a.txt
ls missing
/bin/ls
/usr/bin/ls src
ls -R src
ls -1 --sort=size
cat a.txt
cat a.txt b.txt
cat a.txt \⏎  b.txt
cat a.txt\⏎ b.txt
ls⏎echo a⏎⏎echo b⏎
echo a &&⏎  # why⏎  echo b
echo a |⏎ cat
cat -n a.txt
cat -- a.txt
cat < a.txt
cat <a.txt
cat - < a.txt
cat ./a.txt
cat src/../a.txt
cat café.txt
cat 'with space.txt' | wc -l
cat a.txt | sort | uniq -c
cat a.txt|sort -r
cat a.txt 2>/dev/null
cat missing 2>/dev/null || echo none
cat missing 2>&1
cat a.txt > /dev/null
cat a.txt &> /dev/null
cat a.txt >/dev/null 2>&1
cat a.txt 1>&2
cat a.txt 2>&1 >/dev/null
head a.txt
head -1 a.txt
head -n 1 a.txt
head -n1 a.txt b.txt
head -c 3 a.txt
head --lines=1 a.txt
tail -n 1 a.txt
tail -1 a.txt
tail -c 4 a.txt
wc a.txt
wc -l a.txt b.txt
wc -c < a.txt
grep alpha a.txt
grep -n beta a.txt b.txt
grep -c . a.txt
grep -i ALPHA a.txt
grep -rn main src
grep -r --include=x main src
grep -E 'al|be' a.txt
grep -F '$HOME' a.txt || true
grep -e alpha -e beta a.txt
grep -A1 alpha a.txt
grep -v alpha a.txt
grep -q alpha a.txt && echo found
grep -q nothing a.txt || echo none
grep "a\.b" a.txt
grep -o 'a' a.txt | wc -l
sort a.txt
sort -r -k 1 a.txt
sort -t , -k 2 a.txt
sort -nu a.txt
uniq a.txt
uniq -c a.txt
cut -d a -f 1 a.txt
cut -c1-3 a.txt
tr a-z A-Z < a.txt
tr -d '\n' < a.txt
nl a.txt
tac a.txt
rev a.txt
paste a.txt b.txt
comm a.txt b.txt
cmp a.txt a.txt
diff a.txt a.txt
diff -u a.txt a.txt
diff -q a.txt b.txt
fold -w 3 a.txt
expand -t 4 a.txt
od -c a.txt
md5sum a.txt
sha256sum a.txt
sha1sum a.txt b.txt
cksum a.txt
basename src/main.py
basename src/main.py .py
dirname src/main.py
realpath --relative-to=. src/main.py
readlink -f . | wc -l
stat -c %s a.txt
echo
echo hi
echo -n hi
echo "a  b"   c
echo 'it'"'"'s'
echo a\ b
echo \\
echo "\\"
echo "a\tb"
echo 'a\tb'
echo -e 'a\tb'
echo "quote \" here"
echo a;echo b
echo a ; echo b ;
echo a && echo b
false && echo b
false || echo b
true && false || echo c
false || false && echo d; echo e
true; false
false; true
echo a || echo b && echo c
echo a#b
echo a # comment
echo '#' not a comment
echo a=b
echo {}
echo x{}y
echo HEAD~1
echo a!
echo a:b=c,d%e+f@g^h
echo é ü
echo "日本語"
echo ''
echo "" a
echo ""''"x"'y'z
echo 1 2 3
echo 2 >/dev/null
echo a2>/dev/null
echo ] x
echo '$HOME'
echo \$HOME
echo '`id`'
echo "a;b|c&d"
echo 'a⏎b'
echo "a⏎b"
printf 'a\n'
printf '%s\n' a b
printf '%s' "x y"
printf '%05d\n' 42
seq 3
seq 1 2 7
seq -s , 3
true
false
sleep 0
pwd
cd src && ls
cd src && cat main.py | head -1
cd src; ls
cd ./src && pwd
cd src/deep && pwd
cd src && cd deep && pwd
cd 'src' && ls -1
find .
find . -name a.txt
find . -name '*.py'
find src -type f
find . -type f -name "*.txt" -print
find . ! -name a.txt -maxdepth 1
find . \( -name a.txt -o -name b.txt \)
find . -maxdepth 1 -type d
find . -name '*.py' | wc -l
find src -printf '%f\n'
sed -n 1p a.txt
sed -n '1,2p' a.txt
sed -n '$p' a.txt
sed -n 1,1p < a.txt
timeout 5 cat a.txt
timeout -k 1 5 ls
timeout --signal=KILL 5 echo hi
nice ls
nice -n 5 cat a.txt
nohup cat a.txt
stdbuf -oL cat a.txt
setsid -w cat a.txt
ionice -c 3 cat a.txt
env cat a.txt
env LC_ALL=C sort a.txt
env -u LANG cat a.txt
env -i /bin/cat a.txt
env -- cat a.txt
timeout 5 nice -n 1 env TZ=UTC cat a.txt
LC_ALL=C sort a.txt
LC_ALL=C LANG=C sort a.txt | uniq
NO_COLOR=1 ls
TZ=UTC date -u +%Z
TZ=Europe/Berlin cat a.txt
bash -c 'cat a.txt'
bash -c 'cat a.txt | wc -l; echo done'
bash -c "ls && echo 'a b'"
bash -ec 'cat a.txt'
bash -euo pipefail -c 'cat a.txt | head -1'
bash --norc --noprofile -c ls
bash -c 'cd src && ls'
bash -c "bash -c 'cat a.txt'"
sh -c 'cat a.txt'
sh -c 'echo a; echo b'
dash -c 'cat a.txt && echo b'
timeout 5 bash -c 'cat a.txt'
command cat a.txt
command ls -1
uname -s
nproc
id -u
whoami
""",
)

VARYING = _rows(
    "allow",
    r"""
ls -la
ls -l --color=never src
ls -lh
stat a.txt
du -sh .
du -h --max-depth=1
df -h .
date
date +%s
date -u
ls -laR . | head -20
find . -ls
""",
    says=False,
)

LISTED = [
    *_rows("allow", "mkdir new\nmkdir -p new/deep\nmkdir new && ls", ("mkdir",)),
    *_rows("allow", "mkdir -p x", ("mkdir -p *",)),
    *_rows("ask", "mkdir x\nmkdir --mode=7 -p x", ("mkdir -p *",)),
    *_rows("allow", "touch new.txt", ("/usr/bin/touch",)),
    *_rows("allow", "touch new.txt", ("/bin/touch new.*",)),
    *_rows("allow", "cp a.txt c.txt\ncp a.txt c.txt && cat c.txt", ("cp *.txt *.txt",)),
    *_rows("allow", "mv a.txt z.txt", ("/usr/bin/* *",)),
    *_rows("allow", "cd src && mkdir new", ("mkdir new",)),
    *_rows("allow", "timeout 5 mkdir new\nbash -c 'mkdir new'\nnice mkdir new", ("mkdir new",)),
    *_rows("allow", "awk '{print $1}' a.txt", ("awk '{print $1}' a.txt",)),
    *_rows("allow", "make -n", ("make -n",)),
    *_rows("allow", "/usr/bin/perl -v", ("/usr/bin/perl -v",)),
    *_rows("allow", "bash -c 'echo $0' x", ("bash -c 'echo $0' x",)),
    *_rows("allow", "xargs -n1 echo < a.txt", ("xargs -n1 echo",)),
    *_rows("allow", "sort -o a.txt a.txt", ("sort -o a.txt a.txt",)),
    *_rows("allow", "git --version", ("git",)),
    *_rows("allow", "git init -q new", ("git init *",)),
    *_rows("allow", "cd repo && git status --short\ncd repo && git log --oneline", ("git status *", "git log *")),
    *_rows("allow", "cd repo && git diff", ("git diff",)),
]

SHELL_TRICKS = _rows(
    "ask",
    r"""
touch canary
$(touch canary)
`touch canary`
echo $(touch canary)
echo `touch canary`
echo "$(touch canary)"
echo "`touch canary`"
echo "a $(touch canary) b"
echo ${x:-$(touch canary)}
echo "${x:-$(touch canary)}"
echo $((a[$(touch canary)]))
echo $[a[$(touch canary)]]
ls;touch canary
ls && touch canary
false || touch canary
ls | touch canary
ls & touch canary
touch canary &
(touch canary)
{ touch canary; }
! touch canary
if true; then touch canary; fi
for i in 1; do touch canary; done
while touch canary; do break; done
until ! touch canary; do break; done
case x in x) touch canary;; esac
select x in 1; do touch canary; break; done < a.txt
f() { touch canary; }; f
function f { touch canary; }; f
f() (touch canary); f
time touch canary
coproc touch canary; wait
[[ -n $(touch canary) ]]
[ -n "$(touch canary)" ]
test -v 'a[$(touch canary)]'; [[ -v 'a[$(touch canary)]' ]]
eval touch canary
eval 'touch' 'canary'
exec touch canary
command touch canary
command -p touch canary
builtin eval touch canary
builtin command touch canary
. ./evil.sh
source ./evil.sh
source evil.sh
trap 'touch canary' EXIT
trap 'touch canary' DEBUG; ls
alias ls='touch canary'; shopt -s expand_aliases; eval ls
hash -p ./tool ls; ls canary
enable -f ./no.so x; touch canary
cat <(touch canary)
cat < <(touch canary)
ls > >(touch canary)
cat <<< "$(touch canary)"
x=$(touch canary)
x=$(touch canary) ls
x=`touch canary`
readonly x=$(touch canary)
declare x=$(touch canary)
export x=$(touch canary)
local x=$(touch canary)
declare -a 'a=($(touch canary))'; eval "${a[@]}"
a=(touch canary); "${a[@]}"
x=touch; $x canary
x='touch canary'; $x
IFS=,; x=touch,canary; $x
"touch" canary
'touch' 'canary'
t"ouc"h canary
\touch canary
to\uch canary
$'touch' canary
$"touch" canary
$'\x74ouch' canary
$'\164ouch' canary
t{ouch,x} canary
{touch,canary}
touch canar{y,z}
/usr/bin/t?uch canary
/usr/bin/tou* canary
/usr/bin/[t]ouch canary
/bin/touch canary
/usr/bin/../bin/touch canary
../../../../../../../../usr/bin/touch canary
~+/tool canary
./tool canary
./run.sh
./evil.sh canary
./ls
cd src && touch ../canary
cd src && cd .. && touch canary
cd . ; touch canary
cd src || touch canary; touch ../canary
pushd src; touch ../canary
ls > canary
ls >canary
ls >> canary
ls >| canary
ls &> canary
ls &>> canary
ls >& canary
ls 1> canary
ls 2> canary
ls 2>> canary
> canary
>canary
: > canary
echo x > canary
echo x >> canary
echo > ./canary
echo x | tee canary
cat a.txt > canary
cat < a.txt > canary
cat > canary < a.txt
ls <> canary
ls 3> canary
exec > canary
exec 3<> canary
printf x > canary
cd src && ls > ../canary
cat < /dev/null > canary
echo x > 'canary'
echo x > "can"ary
echo x >\⏎canary
ls \⏎; touch canary
ls # comment⏎touch canary
ls || true; touch canary
echo a; # b⏎touch canary
echo "a" "b" ; touch canary # x
echo '⏎'; touch canary
echo "$\⏎(touch canary)"
echo $\⏎(touch canary)
echo "`touch can\⏎ary`"
to\⏎uch canary
cat <<E⏎$(touch canary)⏎E
cat <<'E'; touch canary⏎x⏎E
cat <<-E⏎`touch canary`⏎E
<<E cat⏎$(touch canary)⏎E
""",
    bites=True,
)

HIDDEN_IN_TEXT = [
    Row("ls\rtouch canary", "ask"),
    Row("ls\n\ntouch canary", "ask", bites=True),
    Row("ls\x0btouch canary", "ask"),
    Row("ls\u202e; touch canary", "ask", bites=True),
    Row("ls \u2066; touch canary \u2069", "ask", bites=True),
    Row("ls\u200b; touch canary", "ask", bites=True),
    Row("touch\u00a0canary", "ask"),
    Row("ls\u3000a", "ask"),
    Row("ls\u2028touch canary", "ask"),
    Row("ls \x1b[2K; touch canary", "ask", bites=True),
    Row("ls \x08; touch canary", "ask", bites=True),
    Row("ls \x7f; touch canary", "ask", bites=True),
    Row("ls \ufeff; touch canary", "ask", bites=True),
    Row("\x01ls; touch canary", "ask", bites=True),
    Row("echo a &&\n touch canary", "ask", bites=True),
    Row("echo a |\n\n touch canary", "ask", bites=True),
    Row("echo 'unclosed; touch canary", "ask"),
    Row('echo "unclosed; touch canary', "ask"),
    Row("echo a &&", "ask"),
    Row("echo a |", "ask"),
    Row("| touch canary", "ask"),
    Row("&& touch canary", "ask"),
    Row("; touch canary", "ask"),
    Row("echo a;; touch canary", "ask"),
    Row("echo a |& touch canary", "ask", bites=True),
    Row("", "ask"),
    Row("   ", "ask"),
    Row("# touch canary", "ask"),
    Row("!!", "ask"),
    Row("%1", "ask"),
    Row("echo \\", "ask"),
    Row("[ a = a ] && touch canary", "ask", bites=True),
    Row("echo a >&3", "ask"),
    Row("echo a 2>&-", "ask"),
    Row("cat /dev/tcp/127.0.0.1/9 ; touch canary", "ask", bites=True),
    Row("cat < /dev/tcp/127.0.0.1/9", "ask"),
]

WRAPPED = _rows(
    "ask",
    r"""
env touch canary
env -S 'touch canary'
env -S'touch canary'
env --split-string='touch canary'
env -iS '/bin/touch canary'
env -C src touch ../canary
env --chdir=src touch ../canary
env -i touch canary
env -i /usr/bin/touch canary
env -u X touch canary
env X=1 touch canary
env PATH=.:/bin tool canary
env -- touch canary
env env env touch canary
timeout 5 touch canary
timeout -s KILL 5 touch canary
timeout --preserve-status 5 touch canary
timeout 5 bash -c 'touch canary'
timeout 5 env bash -c 'touch canary'
nice touch canary
nice -n 5 touch canary
nohup touch canary
stdbuf -o0 touch canary
setsid -w touch canary
ionice -c 3 touch canary
bash -c 'touch canary'
bash -c "touch canary"
bash -c 'ls; touch canary'
bash -c 'ls > canary'
bash -c '$(touch canary)'
bash -c 'eval touch canary'
bash -c 'printf -v PATH .; tool canary'
bash -c 'test -v "a[\$(touch canary)]"; touch canary'
bash -lc 'touch canary'
bash -ic 'touch canary'
bash -xc 'touch canary'
bash -cx 'touch canary'
bash -ec 'touch canary'
bash -O extglob -c 'touch canary'
bash --rcfile evil.sh -ic true
bash --init-file evil.sh -ic true
bash evil.sh
bash ./evil.sh
bash < evil.sh
bash -s < evil.sh
cat evil.sh | bash
cat evil.sh | sh
echo 'touch canary' | bash
echo 'touch canary' | sh
echo 'touch canary' | dash -s
printf 'touch canary' | sh -
echo dG91Y2ggY2FuYXJ5 | base64 -d | sh
sh -c 'touch canary'
sh evil.sh
sh -c 'ls &>a; touch canary'
sh -c 'chdir src; touch ../canary'
sh -c "sh -c 'touch canary'"
sh -c "bash -c \"touch canary\""
dash -c 'touch canary'
zsh -c 'touch canary'
zsh -fc 'touch canary'
zsh -c '=touch canary'
busybox touch canary
busybox sh -c 'touch canary'
busybox env touch canary
busybox ash -c 'touch canary'
/bin/busybox touch canary
/usr/bin/env touch canary
echo canary | xargs touch
echo canary | xargs -I{} touch {}
xargs touch < names
xargs -a names touch
find . -name a.txt -exec touch canary \;
find . -maxdepth 0 -exec touch canary ';'
find . -maxdepth 0 -exec touch canary {} +
find . -maxdepth 0 -execdir touch canary \;
echo y | find . -maxdepth 0 -ok touch canary \;
find . -maxdepth 0 -fprint canary
find . -maxdepth 0 -fprint0 canary
find . -maxdepth 0 -fprintf canary x
find . -maxdepth 0 -fls canary
/lib64/ld-linux-x86-64.so.2 /bin/touch canary
script -qc 'touch canary' /dev/null
flock a.txt touch canary
unshare touch canary
setpriv touch canary
prlimit touch canary
taskset 1 touch canary
chrt -o 0 touch canary
run-parts --regex=evil --arg=x .
command env touch canary
""",
    bites=True,
)

INTERPRETED = _rows(
    "ask",
    r"""
perl -e 'open(F,">canary")'
perl x.pl
perl -ne 'BEGIN{open(F,">canary")}' a.txt
awk 'BEGIN{system("touch canary")}'
awk 'BEGIN{print "x" > "canary"}'
awk '{print | "touch canary"}' a.txt
awk -f x.awk a.txt
mawk 'BEGIN{system("touch canary")}'
sed 'e touch canary' a.txt
sed '1e touch canary' a.txt
sed 's/.*/touch canary/e' a.txt
sed 'w canary' a.txt
sed -n 'w canary' a.txt
sed '1w canary' a.txt
sed 's/a/b/w canary' a.txt
sed -n '1p;w canary' a.txt
sed -f x.sed a.txt
sed -e p -e 'w canary' a.txt
sed --expression='w canary' a.txt
sed -n -e 1p -e 'w canary' a.txt
sed -n 1p a.txt -e 'w canary'
sed -s -n 'w canary' a.txt
vim -es -c '!touch canary' -c q
vim -es +'!touch canary' +q
vi -es -c '!touch canary' -c q
tar -cf /dev/null a.txt --checkpoint=1 --checkpoint-action=exec='touch canary'
tar xf t.tar --to-command='touch canary'
tar -xf t.tar -I ./evil.sh
tar cf canary a.txt
tar -cf /dev/null --use-compress-program='touch canary;cat' a.txt
make
make -f Makefile
make -s all
make SHELL=/bin/sh
node -e 'require("fs").writeFileSync("canary","")'
node x.js
node -p 'require("fs").writeFileSync("canary","")'
echo 'require("fs").writeFileSync("canary","")' | node
rsync -e 'sh -c "touch canary"' a.txt x:/
sort -o canary a.txt
sort a.txt -o canary
sort --output=canary a.txt
sort --out=canary a.txt
sort -ocanary a.txt
sort -S 1b --compress-program=./evil.sh big.txt
uniq a.txt canary
diff a.txt b.txt --output=canary; touch canary
cp a.txt canary
cp -r src canary
mv a.txt canary
ln -s a.txt canary
ln a.txt canary
mkdir canary
install a.txt canary
dd if=a.txt of=canary
tee canary < a.txt
split -b 100 a.txt canary; touch canary
split --filter='touch canary' a.txt
csplit -s -f canary a.txt 1; touch canary
mktemp -p . canaryXXXXXX; touch canary
mkfifo canary
truncate -s 1 canary
gzip -c a.txt > canary
patch -o canary a.txt /dev/null
shred -u a.txt; touch canary
openssl rand -out canary 4
ssh -o ProxyCommand='touch canary' x
man -P 'touch canary' ls; touch canary
git -C repo status; touch canary
""",
    bites=True,
)

GIT = [
    *_rows(
        "ask",
        r"""
cd repo && git -c core.fsmonitor='touch ../canary;false' status
cd repo && git -c alias.x='!touch ../canary' x
cd repo && git -c core.editor='touch ../canary' -c user.name=a -c user.email=b commit --amend
cd repo && git -c diff.external='touch ../canary #' diff
cd repo && git --config-env=core.fsmonitor=X status; touch ../canary
cd repo && git log --output=../canary
cd repo && git diff --output=../canary
cd repo && git grep -O'touch ../canary #' changed
cd repo && git config core.editor 'touch ../canary;'; git -c user.name=a -c user.email=b commit --amend
cd repo && git submodule foreach 'x'; touch ../canary
git clone -q -u 'touch canary;git-upload-pack' repo twin
git clone -q -c core.x=y repo canary
git ls-remote --upload-pack='touch canary;x' ./repo
git ls-remote 'ext::sh -c touch% canary'; touch canary
git -C repo log; touch canary
git --git-dir=repo/.git --work-tree=. status; touch canary
git --exec-path=. status; touch canary
cd trap && git status
cd trap && git diff
cd trap && git commit -qam x
cd trap && git add f
""",
        ("git", "git *"),
        bites=True,
    ),
    *_rows(
        "ask",
        "git x\ngit rebase --exec x --root\ngit log --outpu=../canary\ngit help\ngit",
        ("git *",),
    ),
    *_rows("ask", "cd repo && git status"),
]

OUTSIDE = _rows(
    "ask",
    r"""
cat /etc/passwd
cat /etc/shadow
cat ../a.txt
cat out
cat outside/passwd
ls /
ls ..
ls /etc
ls outside
ls outside/
head -1 /etc/passwd
tail -1 /etc/hostname
wc -l /etc/passwd
grep root /etc/passwd
grep -r root /etc/hostname
grep -R root src
grep -f /etc/passwd a.txt
grep --file=/etc/passwd a.txt
grep x -r outside
cat < /etc/passwd
cat < out
cat a.txt /etc/passwd
cat -- /etc/passwd
find / -maxdepth 1
find .. -maxdepth 1
find -L . -maxdepth 1
find outside/ -maxdepth 1
find . -newer /etc/passwd
wc --files0-from=names
du --files0-from=names
sort --files0-from=names
md5sum -c names
sha256sum --check names
cd /etc && ls
cd .. && ls
cd outside && ls
cd src/../.. && ls
cd /tmp; ls
cd && ls
cd - && ls
cd ~ && ls
diff -r src outside
diff src outside
diff src src/deep
diff --from-file=/etc/passwd a.txt
diff /etc/passwd a.txt
sed -n 1p /etc/passwd
sed -n 1p -- /etc/passwd
comm a.txt /etc/passwd
bash -c 'cat /etc/passwd'
bash -c 'cd / && ls'
timeout 5 cat /etc/passwd
cat /proc/self/environ
cat /proc/self/cwd/a.txt /etc/passwd
ls -L out
stat -L out
date -f /etc/passwd
date --file=/etc/passwd
sort -T /tmp a.txt
od -w8 /etc/passwd
diff --context /etc/passwd a.txt
cat <>/etc/passwd
""",
    says=False,
)

VARIABLES = [
    Row("ls", "deny", bites=False, env={"LD_PRELOAD": "./x.so"}),
    Row("bash -c ls", "deny", bites=True, env={"BASH_ENV": "./evil.sh"}),
    Row("sh -c ls", "deny", env={"ENV": "./evil.sh"}),
    Row("ls", "deny", bites=True, env={"PATH": "."}),
    Row("git status", "deny", ("git *",), env={"GIT_CONFIG_COUNT": "1"}),
    Row("git status", "deny", ("git *",), env={"HOME": "."}),
    Row("node --version", "deny", ("node --version",), env={"NODE_OPTIONS": "--require ./x.js"}),
    Row("ls", "deny", env={"IFS": "x"}),
    Row("ls", "deny", env={"PYTHONSTARTUP": "x.py"}),
    Row("ls", "deny", env={"SHELLOPTS": "xtrace", "PS4": "$(touch canary)"}),
    Row("ls", "deny", env={"ZDOTDIR": "."}),
    Row("ls", "deny", env={"GCONV_PATH": "."}),
    Row("ls", "deny", env={"BASH_FUNC_ls%%": "() { touch canary; }"}, bites=True),
    Row("ls", "deny", env={"A B": "x"}),
    Row("ls", "ask", env={"FOO": "x"}),
    Row("ls", "ask", env={"LANG": "/tmp/x"}),
    Row("ls", "ask", env={"TZ": ":/etc/passwd"}),
    Row("ls", "ask", env={"TZ": "../../x"}),
    Row("ls", "allow", env={"LANG": "C"}),
    Row("cat a.txt", "allow", env={"TZ": "Europe/Berlin", "NO_COLOR": "1"}),
    *_rows(
        "ask",
        r"""
PATH=. ls
PATH=.:$PATH ls
LD_PRELOAD=./x.so ls
FOO=x ls
HOME=. ls
BASH_ENV=./evil.sh bash -c ls
ENV=./evil.sh sh -c ls
env BASH_ENV=./evil.sh bash -c ls
env PATH=. ls
env LD_PRELOAD=./x.so ls
PS4='$(touch canary)' bash -xc ls
SHELLOPTS=xtrace bash -c ls
IFS=x ls
LESSOPEN='|touch canary' less a.txt
A+=b ls
A=1
PATH=.
a[0]=1 ls
""",
    ),
]

LOOSE = [
    *_rows("ask", "./tool canary", ("./tool *", "tool"), bites=True),
    *_rows("ask", "./run.sh", ("run.sh", "*", "/**/run.sh", "**"), bites=True),
    *_rows("ask", "./ls\n./timeout 5 ls", ("*", "/**"), bites=True),
    *_rows("ask", "touch canary", ("ls", "cat *", "/usr/bin/tou", "/usr/bin", "touc", "ouch"), bites=True),
    *_rows("ask", "touch canary", ("touch a*", "x touch"), bites=True),
    *_rows("ask", "perl -e 'open(F,\">canary\")'", ("perl", "perl *", "perl -e *", "/usr/bin/perl"), bites=True),
    *_rows("ask", "bash -c 'touch canary'", ("bash", "bash -c *", "/bin/bash"), bites=True),
    *_rows("ask", "env touch canary", ("env", "env *"), bites=True),
    *_rows("ask", "timeout 5 touch canary", ("timeout *",), bites=True),
    *_rows("ask", "echo canary | xargs touch", ("xargs *",), bites=True),
    *_rows("ask", "busybox touch canary", ("busybox", "busybox *"), bites=True),
    *_rows("ask", "find . -maxdepth 0 -exec touch canary \\;", ("find *",), bites=True),
    *_rows("ask", "sort -o canary a.txt", ("sort *",), bites=True),
    *_rows("ask", "sort --ou=canary a.txt", ("sort",), bites=True),
    *_rows("ask", "touch 'canary'", ("touch @sha256=" + "0" * 64,), bites=True),
    *_rows("ask", "touch canary", ("touch @cwd=/elsewhere",), bites=True),
    *_rows("ask", "touch canary", ("touch @no-arguments",), bites=True),
    *_rows("ask", "touch canary", ("touch @unknown=1", "touch @sha256=12", "'touch canary'", "touch 'can"), bites=True),
    *_rows("ask", "touch canary > a.txt", ("touch *",), bites=True),
    *_rows("ask", "FOO=1 touch canary", ("touch *",), bites=True),
    *_rows("ask", "sh -c 'test -f a.txt; touch canary'", ("test *", "touch *"), bites=True),
    *_rows("ask", "bash -c 'printf -v PATH .; ls'", ("printf *",), bites=True),
    *_rows("ask", "bash -c 'test -v \"a[$(touch canary)]\"'", ("test *", "touch *"), bites=True),
    *_rows("ask", "bash -c 'PATH=.; ls'\nbash -c 'ls() { ./tool canary; }; ls'", ("*",), bites=True),
    *_rows("ask", "awk 'BEGIN{system(\"touch canary\")}'", ("/usr/bin/awk", "mawk *"), bites=True),
    *_rows(
        "ask",
        "tar cf /dev/null a.txt --checkpoint=1 --checkpoint-action=exec='touch canary'",
        ("tar *", "/usr/bin/tar"),
        bites=True,
    ),
]

ANY_PROGRAM = ("*", "* *", "/**", "/usr/bin/* *")
"""What an operator may have allowed in good faith: every program by its name. None of these is a program's own work."""

CARRIED = [
    *_rows(
        "ask",
        r"""
x86_64-linux-gnu-gcc -wrapper ./evil.sh,x x.c
gcc -wrapper ./evil.sh,x x.c
gcc-12 -wrapper ./evil.sh,x x.c
cc -wrapper ./evil.sh,x x.c
c99 -wrapper ./evil.sh,x x.c
cpp -wrapper ./evil.sh,x x.c
prove -e ./evil.sh x.pl
prove x.pl
debconf touch canary
diff3 --diff-program=./evil.sh a.txt b.txt a.txt
diff3 --diff-prog=./evil.sh a.txt b.txt a.txt
sdiff --diff-program=./evil.sh -o canary a.txt b.txt
sdiff -o canary a.txt a.txt
install -s --strip-program=./evil.sh tool x
install --strip-prog=./evil.sh -s tool x
iconv -o canary a.txt
iconv --outp=canary a.txt
tar xf t.tar --transform=s/a.txt/canary/
tar xf t.tar --xform s/a.txt/canary/
tar cf x.tar --use-comp=./evil.sh a.txt
find -D exec . -maxdepth 0 -exec touch canary \;
find . -maxdepth 0 \( -exec touch canary \; \)
sort -uo canary a.txt
sort -k 1,1o canary a.txt; sort -ocanary a.txt
setarch x86_64 touch canary
choom -n 0 -- touch canary
prlimit --nofile=10 touch canary
capsh -- -c 'touch canary'
ssh-agent touch canary
scp -S ./evil.sh a.txt x:y
sftp -S ./evil.sh x
openssl enc -in a.txt -out canary -e -base64
env -vS 'touch canary'
env --split='touch canary'
busybox vi -c ':w! canary' -c ':q!' a.txt
printf -v x 1; exec touch canary
exec -a ls touch canary
. evil.sh
mapfile -C 'touch canary #' -c 1 x < a.txt
readarray -C 'touch canary #' -c 1 x < a.txt
compgen -C 'touch canary' x
read 'a[$(touch canary)]' < a.txt
declare 'a[$(touch canary)]=1'
let 'a[$(touch canary)]=1'
PS4='$(touch canary)'; set -x; ls
x='$(touch canary)'; echo ${x@P}
x='a[$(touch canary)]'; echo $((x))
set -- touch canary; "$@"
$0 -c 'touch canary'
"$BASH" -c 'touch canary'
shopt -s expand_aliases⏎alias ls='touch canary'⏎ls
ls | { cat; touch canary; }
{fd}> canary echo a
cat <<'X' | sh⏎touch canary⏎X
""",
        ANY_PROGRAM,
        bites=True,
    ),
    *_rows(
        "ask",
        r"""
tar cf host:x.tar a.txt
tar --file=host:x.tar -c a.txt
curl -s -w '%output{canary}x' file:///dev/null
curl --trace-ascii canary file:///dev/null
curl --remote-name-all file:///etc/hostname
nm --plugin ./evil.so a.txt
ar --plugin ./evil.so t a.txt
objdump --plugin=./evil.so -d a.txt
ldd ./tool
service x start
ip netns exec x touch canary
ssh-copy-id x
pdb3 -c 'p open("canary","w")' -c q src/main.py
runuser -u root -- touch canary
su -c 'touch canary'
sg root -c 'touch canary'
start-stop-daemon --start --exec /usr/bin/touch -- canary
uname26 touch canary
cpio -o -O canary
unset 'a[$(touch canary)]'
cd repo && git diff f /etc/hostname
cd repo && git init ../../x
cd repo && git commit -F/etc/passwd
cd repo && git tag -F/etc/passwd x
git diff a.txt out
""",
        ANY_PROGRAM,
        says=False,
    ),
    *_rows(
        "allow",
        r"""
touch ours
cp a.txt ours
tar tf t.tar
tar czf ours.tgz src
tar xf t.tar a.txt
base64 a.txt
cd repo && git log --oneline -5
cd repo && git diff --stat
cd repo && git show HEAD:f
cd repo && git diff -- f
cd repo && git diff /dev/null f || true
""",
        ANY_PROGRAM,
    ),
]

NAMED_VARIABLES = [
    Row("FOO=1 ls", "ask"),
    Row("ls", "allow", env={"PATH": "/usr/bin:/bin", "LANG": "C"}),
    Row("ls", "deny", env={"PATH": "/usr/bin:/bin:."}),
    Row("ls", "deny", env={"PATH": "/usr/bin::/bin"}, bites=False),
    Row("ls", "deny", env={"PATH": ""}),
]

ROWS: tuple[Row, ...] = (
    *READING,
    *VARYING,
    *LISTED,
    *SHELL_TRICKS,
    *HIDDEN_IN_TEXT,
    *WRAPPED,
    *INTERPRETED,
    *GIT,
    *OUTSIDE,
    *VARIABLES,
    *LOOSE,
    *CARRIED,
    *NAMED_VARIABLES,
)
