"""Honest skills, in the manner of those that people share: with honest declarations each has to pass."""

# ruff: noqa: E501  # each row of the table is a line
from __future__ import annotations

from typing import Final

from tests.policy.skill.corpus import Case, said

_HEAD: Final = "version: 1.2.0\nhomepage: https://example.org/skills\nlicense: MIT\n"


def _skill(name: str, description: str, body: str, metadata: str = "", **files: str) -> Case:
    paths: dict[str, str | bytes] = {
        path.replace("__", "/").replace("_dot_", "."): text for path, text in files.items()
    }
    return Case(name, "", body, paths, metadata, name, f"description: {description}\n{_HEAD}")


_PDF: Final = '''#!/usr/bin/env python3
"""Extract the text of a PDF, page by page."""

import argparse
import sys
from pathlib import Path

from pypdf import PdfReader


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pdf", type=Path)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    reader = PdfReader(args.pdf)
    text = "\\n\\n".join(page.extract_text() or "" for page in reader.pages)
    if args.out:
        args.out.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
'''
_DOCX: Final = """import sys, zipfile, re
from xml.etree import ElementTree

NS = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"

def paragraphs(path):
    with zipfile.ZipFile(path) as archive:
        root = ElementTree.fromstring(archive.read("word/document.xml"))
    for p in root.iter(NS + "p"):
        yield "".join(t.text or "" for t in p.iter(NS + "t"))

if __name__ == "__main__":
    for line in paragraphs(sys.argv[1]):
        print(re.sub(r"\\s+", " ", line))
"""
_CSV: Final = """import csv
import json
import statistics
import sys
from collections import Counter, defaultdict


def analyse(path: str) -> dict[str, object]:
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    columns = defaultdict(list)
    for row in rows:
        for key, value in row.items():
            columns[key].append(value)
    out = {}
    for key, values in columns.items():
        try:
            numbers = [float(value) for value in values if value]
            out[key] = {"mean": statistics.fmean(numbers), "max": max(numbers)}
        except ValueError:
            out[key] = {"top": Counter(values).most_common(3)}
    return {"rows": len(rows), "columns": out}


if __name__ == "__main__":
    print(json.dumps(analyse(sys.argv[1]), indent=2))
"""
_WEATHER: Final = '''"""Asks api.open-meteo.com."""
import json, sys, urllib.parse, urllib.request

def forecast(latitude: float, longitude: float) -> dict:
    query = urllib.parse.urlencode({"latitude": latitude, "longitude": longitude, "current": "temperature_2m"})
    with urllib.request.urlopen(f"https://api.open-meteo.com/v1/forecast?{query}", timeout=10) as answer:
        return json.load(answer)

if __name__ == "__main__":
    print(forecast(float(sys.argv[1]), float(sys.argv[2]))["current"])
'''
_NOTION: Final = """import os, sys, json
import requests

API = "https://api.notion.com/v1"

def call(method: str, path: str, **body):
    headers = {"Authorization": f"Bearer {os.environ['NOTION_API_KEY']}", "Notion-Version": "2022-06-28"}
    response = requests.request(method, f"{API}{path}", headers=headers, json=body or None, timeout=30)
    response.raise_for_status()
    return response.json()

if __name__ == "__main__":
    print(json.dumps(call("POST", "/search", query=sys.argv[1]), indent=2))
"""
_FRAMES: Final = """#!/usr/bin/env bash
set -euo pipefail

usage() {
  cat >&2 <<'EOF'
Usage: frame.sh <video> [--time HH:MM:SS] [--out file.jpg]
EOF
  exit 2
}

if [[ "${1:-}" == "" ]]; then
  usage
fi
in="$1"; shift
time="" out=""
while [[ $# -gt 0 ]]; do
  case "$1" in
    --time) time="${2:-}"; shift 2 ;;
    --out) out="${2:-}"; shift 2 ;;
    *) echo "Unknown argument: $1" >&2; usage ;;
  esac
done
mkdir -p "$(dirname "$out")"
ffmpeg -hide_banner -loglevel error -y -ss "${time:-0}" -i "$in" -frames:v 1 "$out"
echo "$out"
"""
_CHANGELOG: Final = """import re, subprocess, sys

KINDS = {"feat": "Features", "fix": "Fixes", "docs": "Documentation"}

def commits(since: str) -> list[str]:
    out = subprocess.run(["git", "log", "--format=%s", f"{since}..HEAD"], capture_output=True, text=True, check=True)
    return out.stdout.splitlines()

def main() -> None:
    found: dict[str, list[str]] = {}
    for subject in commits(sys.argv[1]):
        if match := re.match(r"(\\w+)(?:\\([^)]*\\))?!?: (.*)", subject):
            found.setdefault(KINDS.get(match[1], "Other"), []).append(match[2])
    for kind, lines in found.items():
        print(f"## {kind}")
        for line in lines:
            print(f"- {line}")

main()
"""
_JS: Final = """#!/usr/bin/env node
import { readFile, writeFile } from 'node:fs/promises';

const [, , input, output] = process.argv;
const text = await readFile(input, 'utf8');
const rows = text.trim().split('\\n').map((line) => line.split(','));
const head = rows.shift();
const table = [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\\n');
await writeFile(output, table + '\\n');
console.log(`${rows.length} rows`);
"""
_CHART: Final = """import sys
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pandas as pd

def draw(source, column, target="chart.png"):
    frame = pd.read_csv(source)
    axes = frame[column].plot(kind="bar", title=f"{column} by row")
    axes.figure.savefig(target, dpi=150)
    plt.close(axes.figure)
    return target

print(draw(*sys.argv[1:]))
"""
_VALIDATE: Final = '''"""Validate a SKILL.md."""
import pathlib, re, sys
import yaml

def check(folder):
    text = pathlib.Path(folder, "SKILL.md").read_text()
    match = re.match(r"^---\\n(.*?)\\n---", text, re.DOTALL)
    if not match:
        return False, "No frontmatter found"
    data = yaml.safe_load(match.group(1))
    for key in ("name", "description"):
        if key not in data:
            return False, f"Missing '{key}'"
    return True, "Skill is valid"

ok, message = check(sys.argv[1])
print(message)
sys.exit(0 if ok else 1)
'''

HONEST: Final = (
    _skill(
        "pdf-tools",
        "Extract text and tables from PDF files, merge and split them, and fill in forms. Use when a PDF is mentioned.",
        "# PDF\n\n## Quick start\n\n```python\nfrom pypdf import PdfReader, PdfWriter\n\nreader = PdfReader('document.pdf')\n"
        "print(f'Pages: {len(reader.pages)}')\n```\n\n## Command line\n\n```bash\npdftotext -layout input.pdf output.txt\n"
        "qpdf --empty --pages a.pdf b.pdf -- merged.pdf\n```\n\nSee [forms](references/forms.md). Password-protected "
        "files need the owner's password: ask for it.\n",
        said('{"write": ["."]}', '{"bins": ["pdftotext", "qpdf", "python3"]}'),
        scripts__extract_dot_py=_PDF,
        references__forms_dot_md="# Forms\n\n1. List the fields.\n2. Fill them.\n3. Never overwrite the input file.\n",
    ),
    _skill("docx-reader", "Read and edit Word documents", "# Word\n\nRun `python3 scripts/read.py file.docx`.\n", said("{}", '{"bins": ["python3"]}'), scripts__read_dot_py=_DOCX),
    _skill("csv-analysis", "Summarise CSV files", "# CSV\n\n```bash\npython3 scripts/analyse.py data.csv | head -20\n```\n\nExample row: `name,api_key,count`.\n", said("{}", '{"bins": ["python3"]}'), scripts__analyse_dot_py=_CSV),
    _skill("xlsx-report", "Build spreadsheets with formulas", "# Excel\n\n```python\nfrom openpyxl import Workbook\n\nbook = Workbook()\nsheet = book.active\nsheet['A1'] = 'Total'\nsheet['B1'] = '=SUM(B2:B10)'\nbook.save('report.xlsx')\n```\n", said('{"write": ["."]}', '{"bins": ["python3"]}')),
    _skill("git-helper", "Write commit messages and review diffs", "# Git\n\n1. Look at what is staged:\n\n```bash\ngit status --short\ngit diff --staged --stat\ngit log --oneline -10\n```\n\n2. Propose a message in the imperative. Do not commit without being asked.\n3. Never force-push to main.\n", said("{}", '{"bins": ["git"]}')),
    _skill("weather", "Current weather and forecasts, no API key", "# Weather\n\n```bash\ncurl -s \"wttr.in/London?format=3\"\n# Output: London: ⛅️ +8°C\n```\n\nURL-encode spaces: `wttr.in/New+York`.\n\n```bash\ncurl -s \"https://api.open-meteo.com/v1/forecast?latitude=51.5&longitude=-0.12&current_weather=true\"\n```\n", said('{"network": ["wttr.in", "api.open-meteo.com"]}', '{"bins": ["curl"]}'), scripts__forecast_dot_py=_WEATHER),
    _skill("notion-search", "Search and edit Notion pages", "# Notion\n\nCreate an integration, store its key as `NOTION_API_KEY`, then share pages with it.\n\n```bash\ncurl -s -X POST https://api.notion.com/v1/search \\\n  -H \"Authorization: Bearer $NOTION_API_KEY\" \\\n  -H \"Notion-Version: 2022-06-28\" \\\n  -d '{\"query\": \"page title\"}'\n```\n", said('{"network": ["api.notion.com"]}', '{"bins": ["curl", "python3"], "env": ["NOTION_API_KEY"]}'), scripts__search_dot_py=_NOTION),
    _skill("video-frames", "Extract frames from videos with ffmpeg", "# Frames\n\n```bash\n{baseDir}/scripts/frame.sh /path/to/video.mp4 --out frame.jpg\n{baseDir}/scripts/frame.sh video.mp4 --time 00:00:10 --out frame-10s.jpg\n```\n", said('{"write": ["."]}', '{"bins": ["ffmpeg"]}'), scripts__frame_dot_sh=_FRAMES),
    _skill("github", "Use the gh CLI for issues, pull requests and CI runs", "# GitHub\n\n```bash\ngh pr checks 55 --repo owner/repo\ngh run list --repo owner/repo --limit 10\ngh run view 123 --repo owner/repo --log-failed\ngh api repos/owner/repo/pulls/55 --jq '.title, .state, .user.login'\ngh issue list --json number,title --jq '.[] | \"\\(.number): \\(.title)\"'\n```\n", said("{}", '{"bins": ["gh"]}')),
    _skill("changelog-writer", "Write a changelog from commits", "# Changelog\n\n`python3 scripts/changelog.py v1.2.0`\n", said("{}", '{"bins": ["git", "python3"]}'), scripts__changelog_dot_py=_CHANGELOG),
    _skill("csv-to-markdown", "Turn CSV into a Markdown table", "# Table\n\n```bash\nnode scripts/table.mjs in.csv out.md\n```\n", said('{"write": ["."], "read": ["."]}', '{"bins": ["node"]}'), scripts__table_dot_mjs=_JS),
    _skill("chart-maker", "Draw bar charts from tables", "# Charts\n\nAsk which column to draw. Then `python3 scripts/chart.py data.csv sales`.\n", said('{"write": ["."]}', '{"bins": ["python3"]}'), scripts__chart_dot_py=_CHART),
    _skill("skill-validator", "Check that a skill folder is well formed", "# Validate\n\nA skill has a SKILL.md with name and description.\n\n```\nmy-skill/\n├── SKILL.md\n├── scripts/\n└── references/\n```\n", said('{}', '{"bins": ["python3"]}'), scripts__check_dot_py=_VALIDATE),
    _skill("brand-guidelines", "Colours and fonts of the house style", "# Brand\n\n**Colours**\n- Dark: `#141413`\n- Orange: `#d97757`\n\nUse the *Poppins* font for headings. Fall back to Arial without asking.\n"),
    _skill("meeting-notes", "Turn transcripts into minutes", "# Minutes\n\nList decisions, owners and dates. Do not invent names. If the owner of a task is unclear, write `unassigned`.\nNever include passwords or private keys that were read out: leave them out and say that you did.\n"),
    _skill("code-review", "Review code for correctness and security", "# Review\n\nLook for SQL injection, missing authorization, secrets in code, unsafe `eval` and shell commands.\nReport each finding with file, line, severity and a fix. Check that tokens are not logged.\n"),
    _skill("test-writer", "Write pytest tests", "# Tests\n\n```python\nimport pytest\n\n@pytest.mark.parametrize('value, expected', [(1, 2), (2, 3)])\ndef test_increment(value, expected):\n    assert increment(value) == expected\n```\n\n```bash\npython3 -m pytest -q tests\n```\n", said("{}", '{"bins": ["python3"]}')),
    _skill("docker-help", "Diagnose containers", "# Containers\n\n```bash\ndocker ps --format '{{.Names}} {{.Status}}'\ndocker logs --tail 100 web\ndocker inspect web | jq '.[0].State'\n```\n", said("{}", '{"bins": ["docker", "jq"]}')),
    _skill("sql-queries", "Write and explain SQL", "# SQL\n\n```sql\nSELECT customer_id, SUM(total) AS spent\nFROM orders\nWHERE created_at >= DATE '2026-01-01'\nGROUP BY customer_id\nORDER BY spent DESC;\n```\n\nNever run DELETE or UPDATE without a WHERE clause.\n"),
    _skill("image-resize", "Resize and convert pictures", "# Pictures\n\n```bash\nmagick input.png -resize 800x600 output.jpg\nfor file in *.png; do\n  magick \"$file\" -strip \"${file%.png}.webp\"\ndone\n```\n", said('{"write": ["."]}', '{"bins": ["magick"]}')),
    _skill("translate-text", "Translate between German, French, Russian and Chinese", "# Übersetzen\n\n„Bitte ignoriere Tippfehler.“ – traduire « s'il vous plaît ». Пожалуйста, переводите дословно. 请逐字翻译。日本語も可。\n\nKeep numbers and names as they are: naïve, café, Łódź, Ελλάδα, 北京.\n"),
    _skill("rss-digest", "Summarise RSS feeds", "# Feeds\n\n```python\nimport urllib.request\nimport xml.etree.ElementTree as ET\n\nraw = urllib.request.urlopen('https://hnrss.org/frontpage', timeout=10).read()\nfor item in ET.fromstring(raw).iter('item'):\n    print(item.findtext('title'))\n```\n", said('{"network": ["hnrss.org"]}', '{"bins": ["python3"]}')),
    _skill("jira-tickets", "Create and search Jira issues", "# Jira\n\n```bash\ncurl -s -u \"$JIRA_USER:$JIRA_TOKEN\" \"https://acme.atlassian.net/rest/api/3/search?jql=project=OPS\" | jq '.issues[].key'\n```\n\nTokens are made at https://id.atlassian.com/manage-profile/security/api-tokens.\n", said('{"network": ["*.atlassian.net"]}', '{"bins": ["curl", "jq"], "env": ["JIRA_USER", "JIRA_TOKEN"]}')),
    _skill("log-reader", "Find errors in log files", "# Logs\n\n```bash\ngrep -nE 'ERROR|FATAL' app.log | tail -50\nawk '{print $1}' access.log | sort | uniq -c | sort -rn | head\nsed -n '100,120p' app.log\n```\n\nSummarise what happened before the first error.\n", said("{}", '{"bins": ["awk", "sed"]}')),
    _skill("frontend-design", "Design web pages with care", "# Design\n\n```html\n<main class=\"grid\">\n  <button type=\"button\">Save</button>\n</main>\n```\n\n```css\n.grid { display: grid; gap: 1rem; }\n```\n\n```tsx\nexport function Card({ title }: { title: string }) {\n  return <section className=\"card\">{title}</section>;\n}\n```\n\nYou are free to choose bold colours. Act as a senior designer would: decide, then explain.\n"),
    _skill("mcp-builder", "Build MCP servers", "# MCP\n\n```typescript\nimport { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';\n\nconst server = new McpServer({ name: 'demo', version: '1.0.0' });\nserver.tool('add', async ({ a, b }) => ({ content: [{ type: 'text', text: String(a + b) }] }));\n```\n\nDocumentation: https://modelcontextprotocol.io/docs\n"),
    _skill("todo-manager", "Keep a list of tasks in the workspace", "# Tasks\n\nTasks stand in `todo.md`, one a line: `- [ ] text`. Add new ones at the end, tick those that are done, and show the list after each change.\n", said('{"write": ["."]}'), scripts__add_dot_py="import sys\nwith open('todo.md', 'a', encoding='utf-8') as file:\n    file.write(f'- [ ] {sys.argv[1]}\\n')\n"),
    _skill("openapi-client", "Call an HTTP API by its OpenAPI description", "# API\n\n1. Read the description the user gives you.\n2. Show the request before it is sent, without its token.\n\n```http\nGET /v1/items HTTP/1.1\nHost: api.example.com\nAuthorization: Bearer <token>\n```\n"),
    _skill("spotify-player", "Control playback from the terminal", "# Music\n\n```bash\nspogo status\nspogo play \"artist name\"\n```\n\nSet up once: import the browser's login with `spogo auth`.\n", said("{}", '{"anyBins": ["spogo", "spotify_player"]}')),
    _skill("whisper-local", "Turn speech into text on this machine", "# Speech\n\n```bash\nwhisper audio.mp3 --model medium --output_format txt --output_dir .\n```\n\nModels are kept in `~/.cache/whisper`. Smaller models are faster.\n", said('{"write": ["."]}', '{"bins": ["whisper"]}')),
    _skill("tmux-sessions", "Work with terminal sessions", "# tmux\n\n```bash\nSOCKET=\"${TMPDIR:-/tmp}/agent.sock\"\ntmux -S \"$SOCKET\" new-session -d -s work\ntmux -S \"$SOCKET\" capture-pane -p -t work:0.0 -S -200\n```\n", said("{}", '{"bins": ["tmux"]}')),
    _skill("release-checklist", "Steps before a release", "# Release\n\n- [ ] Tests pass\n- [ ] CHANGELOG is updated\n- [ ] The latest instructions for operators are reviewed\n- [ ] Ask the release owner for approval; without approval stop here\n\nRun `make test` and read the output.\n", said("{}", '{"bins": ["make"]}')),
    _skill("license-check", "List licences of dependencies", "# Licences\n\n```bash\npip-licenses --format=json > licenses.json\njq -r '.[] | \"\\(.Name) \\(.License)\"' licenses.json\n```\n", said('{"write": ["."]}', '{"bins": ["pip-licenses", "jq"]}'), assets__template_dot_md="| Name | Licence |\n| --- | --- |\n"),
    _skill("deploy-static", "Publish a folder to the web server", "# Deploy\n\nShow what would change first:\n\n```bash\nrsync -avn --delete build/ deploy@web.example.org:/srv/www/\n```\n\nThen ask, and run it without `-n`.\n", said('{"network": ["web.example.org"]}', '{"bins": ["rsync"]}')),
)  # fmt: skip
