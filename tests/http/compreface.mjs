// Calls a server through CompreFace's own JavaScript client, each of its calls once.
//   node compreface.mjs FOLDER-WITH-THE-CLIENT http://HOST PORT KEY SAMPLES
// The client takes paths that begin with a dot: so the samples are the working folder.
import { createRequire } from 'module';
import { readdirSync } from 'fs';
import { pathToFileURL } from 'url';
import assert from 'assert';

const [folder, host, port, key, samples] = process.argv.slice(2);
const path = createRequire(folder + '/').resolve('@exadel/compreface-js-sdk');
const { CompreFace } = await import(pathToFileURL(path));
process.chdir(samples);
const picture = (person, i) => `./person-${String(person).padStart(2, '0')}/` + readdirSync(`person-${String(person).padStart(2, '0')}`).sort()[i];

const server = new CompreFace(host, port);
const recognition = server.initFaceRecognitionService(key);
const detection = server.initFaceDetectionService(key);
const verification = server.initFaceVerificationService(key);
const subjects = () => recognition.getSubjects(); // its objects grow their address with each call: a new one for each
const faces = () => recognition.getFaceCollection();
let calls = 0;
const done = async promise => { const answer = await promise; calls++; return answer.data ?? answer; };

await done(subjects().deleteAll());
assert.deepEqual(await done(subjects().add('Ada')), { subject: 'Ada' });
assert.deepEqual(await done(subjects().list()), { subjects: ['Ada'] });
const one = await done(faces().add(picture(1, 0), 'Ada', {}));
const two = await done(faces().add(picture(2, 0), 'Bob', {}));
assert.equal(one.subject, 'Ada');
assert.equal((await done(faces().list())).faces.length, 2);
const seen = await done(recognition.recognize(picture(1, 2), { limit: 0, prediction_count: 1, status: 'true', face_plugins: 'landmarks' }));
assert.equal(seen.result[0].subjects[0].subject, 'Ada');
assert.equal(seen.result[0].landmarks.length, 5);
const same = await done(faces().verify(picture(1, 2), one.image_id, { limit: 0 }));
assert.ok(same.result[0].similarity > 0.5);
assert.equal((await done(detection.detect(picture(1, 2), { limit: 0 }))).result.length, 1);
const pair = await done(verification.verify(picture(1, 0), picture(1, 2), { limit: 0 }));
assert.ok(pair.result[0].face_matches[0].similarity > 0.5);
assert.equal((await done(subjects().rename('Ada', 'Zoe'))).updated, true);
assert.deepEqual(await done(faces().delete(one.image_id)), { image_id: one.image_id, subject: 'Zoe' });
assert.equal((await done(faces().delete_multiple_images([two.image_id]))).length, 1);
await done(faces().add(picture(1, 0), 'Ada', {}));
assert.equal((await done(faces().delete_all_subject('Ada'))).deleted, 1);
await done(faces().add(picture(1, 0), 'Ada', {}));
assert.equal((await done(subjects().delete('Ada'))).subject, 'Ada');
assert.equal((await done(faces().delete_all())).deleted, 0);
await assert.rejects(recognition.recognize('./no-face/1.jpg', { limit: 0 }), e => e.response.status === 400 && e.response.data.code === 28);
console.log(`${calls} calls succeeded`);
