"""An S3-compatible server (moto) with a bucket and a user's keys, for tests/s3/mod.rs.

Prints one line, "PORT KEY SECRET". Lines of its input: "closed", requests must be signed by the user's keys; "open", they need not be:
the bucket's policy lets anyone in.
"""

import json
import sys

import boto3
from moto import settings
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
port = server.get_host_and_port()[1]
made_up = {"region_name": "us-east-1", "aws_access_key_id": "a", "aws_secret_access_key": "b"}
iam = boto3.client("iam", endpoint_url=f"http://127.0.0.1:{port}", **made_up)
iam.create_user(UserName="hub")
policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
iam.put_user_policy(UserName="hub", PolicyName="all", PolicyDocument=json.dumps(policy))
keys = iam.create_access_key(UserName="hub")["AccessKey"]
s3 = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", **made_up)
s3.create_bucket(Bucket="chain")
everyone = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": ["arn:aws:s3:::chain", "arn:aws:s3:::chain/*"]}
s3.put_bucket_policy(Bucket="chain", Policy=json.dumps({"Version": "2012-10-17", "Statement": [everyone]}))
print(port, keys["AccessKeyId"], keys["SecretAccessKey"], flush=True)
for line in sys.stdin:
    settings.INITIAL_NO_AUTH_ACTION_COUNT = 0 if line.strip() == "closed" else float("inf")
    print("done", flush=True)
server.stop()
