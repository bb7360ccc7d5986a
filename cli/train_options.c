/* The options of `mien train` and `mien finetune`, and what they set in a run's. */
#include "train_options.h"
#include <math.h>
#include <string.h>

#define TEXT(field, name_, value_, brief_)                                                       \
    .name = name_, .kind = CLI_TEXT, .offset = offsetof(cli_train_opts, field), .value = value_, \
    .brief = brief_
#define NUMBER(field, name_, def_, min_, max_, brief_)                                                    \
    .name = name_, .kind = CLI_INT, .offset = offsetof(cli_train_opts, field), .value = "N", .def = def_, \
    .min = min_, .max = max_, .brief = brief_
#define REAL(field, name_, def_, min_, max_, brief_)                                                       \
    .name = name_, .kind = CLI_REAL, .offset = offsetof(cli_train_opts, field), .value = "X", .def = def_, \
    .min = min_, .max = max_, .brief = brief_
#define FLAG(field, name_, brief_) \
    .name = name_, .kind = CLI_FLAG, .offset = offsetof(cli_train_opts, field), .brief = brief_

const cli_option cli_train_new_options[] = {
    { TEXT(arch, "arch", "A", "network: mobilefacenet[:embed=N,width=X] or yunet[:norm=0]"),
      .def = "mobilefacenet",
      .more =
          "mobilefacenet is an embedder of 112x112 crops (Chen 2018); embed is the embedding's length "
          "(256), width "
          "scales the channels. yunet is a face detector with five landmarks (Wu 2023); norm=0 leaves batch "
          "normalisation out, which is best with --hints --blockwise from a YuNet." },
    { TEXT(teachers, "teacher", "M[,M]", "models to follow (distillation)"), .hint = CLI_MODELS },
    { TEXT(hints, "hints", "S=T,...", "inner values of the first teacher to follow"), .rare = 1,
      .more = "Each pair names a value of the new network and one of the teacher of the same shape." },
    { REAL(blockwise, "blockwise", "0", 0, 100000, "first epochs in which parts between hints learn apart"),
      .rare = 1,
      .more = "Each stretch of the network between two hints then gets the teacher's value as its input and "
              "sends no gradient "
              "further back, which is much faster than learning from end to end." },
    { TEXT(backgrounds, "backgrounds", "DIR", "detectors: pictures without faces"), .hint = CLI_DIRS },
    { .name = "loss",
      .kind = CLI_CHOICE,
      .offset = offsetof(cli_train_opts, loss),
      .value = "distill|softmax|arcface|cosface|triplet",
      .def = "distill",
      .brief = "what is minimised",
      .more = "distill follows the teachers and needs no names; the others learn to tell the people of the "
              "folders apart." },
    { NUMBER(epochs, "epochs", "10", 1, 100000, "passes over the pictures") },
    { REAL(lr, "lr", "0.001", 1e-9, 10, "learning rate after warm-up") },
    { 0 },
};

const cli_option cli_train_tune_options[] = {
    { TEXT(tune, "tune", "WHAT", "what is tuned: head, last:N or all"), .def = "all",
      .more = "head puts a small linear layer behind the embedding and trains that alone, in seconds; last:N "
              "trains the "
              "last N layers; all trains every weight." },
    { TEXT(teachers, "teacher", "M[,M]", "models to stay near to; by default the model itself"),
      .hint = CLI_MODELS },
    { .name = "loss",
      .kind = CLI_CHOICE,
      .offset = offsetof(cli_train_opts, loss),
      .value = "distill|softmax|arcface|cosface|triplet",
      .def = "arcface",
      .brief = "what is minimised, beside staying near the teacher" },
    { NUMBER(epochs, "epochs", "8", 1, 100000, "passes over the pictures") },
    { REAL(lr, "lr", NULL, 1e-9, 10, "learning rate after warm-up; by default 5e-5, for head 5e-4"),
      .more = "Ten times more made a model worse that 41 people were to tune (docs/training.md)." },
    { 0 },
};

const cli_option cli_train_shared_options[] = {
    { TEXT(out, "out", "FILE", "model to write (.mien)"), .letter = 'o', .hint = CLI_FILES },
    { TEXT(run_dir, "run", "DIR", "run folder: checkpoint, log, report; by default OUT.run"),
      .hint = CLI_DIRS },
    { FLAG(resume, "resume", "go on from the run folder's checkpoint") },
    { FLAG(force, "force", "finetune: write a model not shown better; --resume: take other settings") },
    { FLAG(aligned, "aligned", "pictures are aligned crops already") },
    { TEXT(val, "val", "DATA", "people to validate on; by default a part of DATA is split off"),
      .hint = CLI_FILES },
    { REAL(val_fraction, "val-fraction", "0.1", 0.001, 0.9, "share of people split off for validation") },
    { TEXT(augment, "augment", "SPEC", "how crops are varied, for instance flip=0.5,rotate=10"),
      .more = "A list of name=amount[:probability]: flip, rotate (degrees), scale, shift, crop, brightness, "
              "contrast, "
              "saturation, hue, grey, blur (px), noise, jpeg (lowest quality), lowres (A-B px), occlude. The "
              "words "
              "none and default may stand first." },
    { TEXT(preview, "preview", "FILE", "draw a sheet of varied crops (.png, .jpg) and stop"),
      .hint = CLI_FILES },
    { NUMBER(batch, "batch", "32", 2, 4096, "pictures per step") },
    { NUMBER(accumulate, "accumulate", "1", 1, 1024, "batches per step of the optimiser"), .rare = 1 },
    { .name = "optimizer",
      .kind = CLI_CHOICE,
      .offset = offsetof(cli_train_opts, optimizer),
      .value = "adamw|sgd",
      .def = "adamw",
      .rare = 1,
      .brief = "AdamW (Loshchilov 2019) or SGD with momentum" },
    { REAL(weight_decay, "weight-decay", "0.0001", 0, 10, "pull of weights towards zero"), .rare = 1 },
    { REAL(momentum, "momentum", "0.9", 0, 0.9999, "of SGD"), .rare = 1 },
    { REAL(warmup, "warmup", "0.2", 0, 1000, "epochs of rising learning rate"), .rare = 1 },
    { REAL(lr_floor, "lr-floor", "0.01", 0, 1, "last learning rate as a part of --lr"), .rare = 1 },
    { REAL(clip, "clip", "5", 0, 1e9, "greatest gradient norm; 0: any"), .rare = 1 },
    { REAL(ema, "ema", "0.999", 0, 0.99999,
           "decay of the weight average that is validated and saved; 0: none"),
      .rare = 1 },
    { REAL(scale, "scale", "0", 0, 1000, "of ArcFace and CosFace; 0: 64"), .rare = 1 },
    { REAL(margin, "margin", "0", 0, 3, "of the loss; 0: the paper's"), .rare = 1 },
    { REAL(w_embed, "w-embed", "1", 0, 1e6, "weight of following the teachers' embeddings"), .rare = 1 },
    { REAL(w_relation, "w-relation", "0", 0, 1e6, "weight of following their cosines between pictures"),
      .rare = 1 },
    { REAL(w_hint, "w-hint", "1", 0, 1e6, "weight of the hints"), .rare = 1 },
    { REAL(w_truth, "w-truth", "1", 0, 1e6, "detectors: weight of the scenes' truth beside the teacher"),
      .rare = 1 },
    { REAL(w_landmark, "w-landmark", "1", 0, 1e6, "detectors: weight of landmarks beside scores and boxes"),
      .rare = 1 },
    { NUMBER(validate, "validate", "1", 0, 100000, "epochs between validations"), .rare = 1 },
    { NUMBER(patience, "patience", "0", 0, 100000, "stop after so many validations without gain; 0: never") },
    { NUMBER(seed, "seed", "1", 0, 2147483647, "of everything random") },
    { NUMBER(max_images, "max-images", "0", 0, 2147483647, "use so many pictures; 0: all"), .rare = 1 },
    { NUMBER(max_steps, "max-steps", "0", 0, 2147483647, "stop after so many steps; 0: epochs decide"),
      .rare = 1 },
    { FLAG(pictures, "pictures", "show crops of the worst errors in the report"), .rare = 1,
      .more = "Without it no picture leaves the folder it is in." },
    { TEXT(name, "name", "NAME", "name of the model"), .rare = 1 },
    { TEXT(meta, "meta", "FILE", "JSON with properties of the model: licence, training_data, ..."),
      .hint = CLI_FILES, .rare = 1 },
    { 0 },
};

void cli_train_fill(const cli_train_opts *o, mien_train_opts *t)
{
    t->val_data = o->val;
    t->val_fraction = o->val_fraction;
    t->aligned = o->aligned;
    t->loss = (mien_train_loss)o->loss;
    t->w_embed = o->w_embed;
    t->w_relation = o->w_relation;
    t->w_hint = o->w_hint;
    t->w_truth = o->w_truth;
    t->w_landmark = o->w_landmark;
    t->blockwise_epochs = o->blockwise;
    t->augment = o->augment;
    t->backgrounds = o->backgrounds;
    t->epochs = o->epochs;
    t->batch = o->batch;
    t->accumulate = o->accumulate;
    t->lr = isnan(o->lr) ? !strcmp(o->tune ? o->tune : "", "head") ? 5e-4 : 5e-5 : o->lr;
    t->lr_floor = o->lr_floor;
    t->warmup_epochs = o->warmup;
    t->weight_decay = o->weight_decay;
    t->momentum = o->momentum;
    t->clip_norm = o->clip;
    t->ema = o->ema;
    t->sgd = o->optimizer == 1;
    t->scale = o->scale;
    t->margin = o->margin;
    t->patience = o->patience;
    t->validate_epochs = o->validate;
    t->seed = (uint64_t)o->seed;
    t->max_images = (size_t)o->max_images;
    t->max_steps = (uint64_t)o->max_steps;
    t->threads = (unsigned)o->common.threads;
    t->resume = o->resume;
    t->force = o->force;
    t->error_pictures = o->pictures;
}
