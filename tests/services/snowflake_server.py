"""Run by Python of .services/snowflake: fakesnow as a server that asks who logs in.

fakesnow answers SQL. Added here is what it lacks and the tests need: passwords and keys that are
checked, REMOVE, a query tag, statements that are refused as Snowflake refuses them, and the end of
sessions whose client is gone. Everything below /tests is for the tests alone.

Arguments: port, and the folder that files of stages lie in.
"""

import base64
import gc
import gzip
import hashlib
import importlib
import json
import re
import shutil
import sys
import tempfile
from pathlib import Path

PORT, FOLDER = int(sys.argv[1]), sys.argv[2]
# where fakesnow makes its folder, when it is imported
tempfile.tempdir = FOLDER

import jwt  # noqa: E402
import uvicorn  # noqa: E402
from cryptography.hazmat.primitives import serialization  # noqa: E402
from fakesnow.transforms import stage  # noqa: E402
from starlette.applications import Starlette  # noqa: E402
from starlette.responses import JSONResponse  # noqa: E402
from starlette.routing import Route  # noqa: E402

# fakesnow has a function of that name too
fake = importlib.import_module("fakesnow.server")

NOTHING = "select 'Statement executed successfully.' as \"status\""
REMOVE = re.compile(r"remove @(\w+\.\w+\.\w+)/(\S*)", re.IGNORECASE)
COMMENT = re.compile(r" comment = '.*'$")
users: dict = {}
refusals: list = []
statements: list = []


def refusal(code, state, message):
    data = {"errorCode": code, "sqlState": state}
    told = {"data": data, "code": code, "message": message, "success": False, "headers": None}
    return JSONResponse(told)


async def body_of(request):
    body = await request.body()
    zipped = request.headers.get("Content-Encoding") == "gzip"
    return json.loads(gzip.decompress(body) if zipped else body), zipped


async def login(request):
    told = (await body_of(request))[0]["data"]
    statements.append(
        {"login": told.get("SESSION_PARAMETERS"), "role": request.query_params.get("roleName")}
    )
    if told.get("AUTHENTICATOR") == "SNOWFLAKE_JWT":
        if not has_key(told):
            return refusal("390144", "08004", "JWT token is invalid.")
    elif users.get(told["LOGIN_NAME"].upper(), {}).get("password") != told.get("PASSWORD"):
        return refusal("390100", "08004", "Incorrect username or password was specified.")
    return await fake.login_request(request)


def has_key(told):
    """Whether a token was signed by the user's private key, as Snowflake wants it."""
    name = told["LOGIN_NAME"].upper()
    pem = users.get(name, {}).get("public_key")
    if not pem:
        return False
    key = serialization.load_pem_public_key(pem.encode())
    der = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    print_ = base64.b64encode(hashlib.sha256(der).digest()).decode()
    try:
        claims = jwt.decode(told["TOKEN"], key, algorithms=["RS256"])
    except jwt.PyJWTError:
        return False
    account = told["ACCOUNT_NAME"].upper()
    return claims["iss"] == f"{account}.{name}.SHA256:{print_}"


async def query(request):
    told, zipped = await body_of(request)
    sql = told["sqlText"]
    statements.append({"sql": sql})
    for pattern, code, state, message in refusals:
        if re.search(pattern, sql, re.IGNORECASE):
            return refusal(code, state, message)
    # fakesnow writes the comment of a table into SQL of its own without quoting it
    plain = COMMENT.sub(lambda found: found[0].replace("''", "`"), sql)
    if removed := REMOVE.fullmatch(sql):
        shutil.rmtree(stage.internal_dir(removed[1].upper(), removed[2]), ignore_errors=True)
    if removed or sql.startswith("alter session set query_tag"):
        plain = NOTHING
    if plain != sql:
        body = json.dumps({**told, "sqlText": plain}).encode()
        request._body = gzip.compress(body) if zipped else body
    return await fake.query_request(request)


async def control(request):
    """What the tests say: users, refusals, the end of sessions; answers the statements so far."""
    told = await request.json()
    users.update(told.get("users", {}))
    if "refusals" in told:
        refusals[:] = told["refusals"]
    if told.get("end_sessions"):
        for session in fake.sessions.values():
            session._duck_conn.close()
        fake.sessions.clear()
    found = list(statements)
    if told.get("forget"):
        statements.clear()
    top = Path(stage.LOCAL_BUCKET_PATH)
    files = [str(path.relative_to(top)) for path in top.rglob("*") if path.is_file()]
    return JSONResponse({"statements": found, "files": files})


ours = {"/session/v1/login-request": login, "/queries/v1/query-request": query}
routes = [Route(path, endpoint, methods=["POST"]) for path, endpoint in ours.items()]
routes += [route for route in fake.routes if route.path not in ours]
routes.append(Route("/tests", control, methods=["POST"]))
# fakesnow makes a tree of objects of each statement and walks it sixty times
gc.set_threshold(100_000, 50, 50)
uvicorn.run(Starlette(routes=routes), host="127.0.0.1", port=PORT, log_level="warning")
