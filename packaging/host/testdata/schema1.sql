-- A database in schema 1, as the last totpd that wrote it left it: ann has logged in, eve has typed three wrong
-- codes. It is sealed with the key 1d67d5a86aec6697c47aab4e826b874e4f1b924a01c7e92d495f1d289b21f2e0.
PRAGMA journal_mode=WAL;
PRAGMA application_id=1953461360;
PRAGMA user_version=1;
BEGIN TRANSACTION;
CREATE TABLE account (user TEXT NOT NULL PRIMARY KEY, record TEXT NOT NULL);
INSERT INTO account VALUES('ann','{"user":"ann","devices":[{"id":"XM7SXQS3TLMQPFUIH6H5KTWXKO","name":"token","digits":6,"period":30,"algorithm":"SHA1","sealed":"Acvl6kpixRFAdH+dpodihi8OWOxsNYE5WSs1GN+iNXjQfxeuDyTkUsgMAlKd7dE0VA==","added":"2026-11-24T18:53:27.270158864Z","last_used":"2026-11-24T18:53:27.524033979Z","used":[59851546],"recent":[{"step":59851546,"mark":"C0DiCf1xVbhLkpyMGtP8aseRLqZD6no2GTkVtCnpwpQ=","at":"2026-11-24T18:53:27.524033979Z"}]}]}');
INSERT INTO account VALUES('eve','{"user":"eve","devices":[{"id":"QYXJ47ZRWTGOLEJNYCN5ELUAHD","name":"token","digits":8,"period":60,"algorithm":"SHA256","sealed":"AQy9jBQT+rSlwHltEfF7yZRh4S3g0RPFCI8Qy1r7vE5OwQ96ukRkvk6/J2WGuxVa+Q==","added":"2026-11-24T18:53:27.292846897Z"}],"codes":{"failures":3,"last":"2026-11-24T18:53:27.89849113Z"}}');
CREATE TABLE meta (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL);
INSERT INTO meta VALUES('key_check','e1b9df94942e2d02');
COMMIT;
