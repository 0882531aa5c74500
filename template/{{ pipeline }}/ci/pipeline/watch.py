"""Says what to do about the flaws of what is deployed, and starts the rebuild that mends some.

Exit code: 0 nothing is due, or a rebuild does it; 1 a bump is due; 2 it cannot be told.
"""

from __future__ import annotations

import datetime
import glob
import json
import os
import ssl
import sys
import urllib.error
import urllib.parse
import urllib.request

sys.path.insert(0, "ci")
import pull_request
from conformance import repo, report, vulnerabilities
from conformance.model import Unusable

WATCH = ".pipeline/watch"


def rebuild() -> str:
    """Start the pipeline that rebuilds the newest release; return its address."""
    return on_github() if os.environ.get("GITHUB_ACTIONS") == "true" else on_gitlab()


def on_github() -> str:
    try:
        repository = f"{os.environ['GITHUB_SERVER_URL']}/{os.environ['GITHUB_REPOSITORY']}"
        path = f"repos/{os.environ['GITHUB_REPOSITORY']}/actions/workflows/ci.yml/dispatches"
        pull_request.ask("POST", path, {"ref": os.environ["GITHUB_REF_NAME"]})
    except KeyError as missing:
        raise Unusable(f"cannot start the rebuild: {missing.args[0]} is not set, which watch.yml does") from None
    except urllib.error.HTTPError as refusal:
        what = pull_request.reason(refusal)
        raise Unusable(f"cannot start the rebuild: {refusal.url} answers {refusal.code}: {what}") from None
    except (OSError, ValueError) as error:
        raise Unusable(f"cannot start the rebuild: {os.environ['GITHUB_API_URL']}: {error}") from None
    return f"{repository}/actions/workflows/ci.yml"


def on_gitlab() -> str:
    try:
        api, project = os.environ["CI_API_V4_URL"], os.environ["CI_PROJECT_ID"]
        given = {
            "token": os.environ["CI_JOB_TOKEN"],
            "ref": os.environ["CI_DEFAULT_BRANCH"],
            "variables[REBUILD]": "true",
        }
    except KeyError as missing:
        raise Unusable(f"cannot start the rebuild: {missing.args[0]} is not set, which GitLab does in a job") from None
    authorities = os.environ.get("CI_SERVER_TLS_CA_FILE")
    context = ssl.create_default_context(cafile=authorities or None)
    url = f"{api}/projects/{project}/trigger/pipeline"
    try:
        with urllib.request.urlopen(url, urllib.parse.urlencode(given).encode(), context=context) as answer:
            return str(json.load(answer)["web_url"])
    except urllib.error.HTTPError as error:
        what = error.read(300).decode("utf-8", "replace")
        raise Unusable(f"cannot start the rebuild: {api} answers {error.code}: {what}") from None
    except (OSError, ValueError, KeyError) as error:
        raise Unusable(f"cannot start the rebuild: {api}: {error}") from None


def main() -> int:
    now = datetime.datetime.now(datetime.UTC)
    hours = os.environ.get("VULNERABILITY_DB_MAX_AGE") or "120"
    if not hours.isdecimal():
        raise Unusable(f'VULNERABILITY_DB_MAX_AGE is "{hours}": want hours, such as 120')
    greatest = datetime.timedelta(hours=int(hours))
    deviations = repo.deviations_of(".", now.date())
    wanted, due = [], False
    with open(f"{WATCH}/tags", encoding="utf-8") as file:
        tags = file.read().split()
    for tag in tags:
        if not os.path.exists(f"{WATCH}/{tag}.spdx.json"):
            wanted.append(f"{tag} has no list of what is in it")
            continue
        bases = sorted(glob.glob(f"{WATCH}/{glob.escape(tag)}.base-*.json"))
        scan, *today = vulnerabilities.read_fresh([f"{WATCH}/{tag}.scan.json", *bases], now, greatest)
        verdicts = list(vulnerabilities.judge(scan, ".", today))
        wanted += [
            f"{tag}: a rebuild fixes {item.flaw.names[0]} in {item.flaw.package}"
            for item in verdicts
            if item.what == vulnerabilities.REBUILD
        ]
        result = vulnerabilities.result(tag, verdicts, deviations)
        print(report.render(result, "text"))
        due = due or bool(result.open_findings)
    for why in wanted:
        print(why)
    if wanted:
        print(f"started the rebuild: {rebuild()}")
    return 1 if due else 0


try:
    sys.exit(main())
except (Unusable, OSError, ValueError) as error:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(2)
