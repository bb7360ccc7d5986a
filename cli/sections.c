/* Text that belongs to no single verb: printed by `mien --help` and put into the manual. */
#include "cli.h"

static const cli_section sections[] = {
    { "Output",
      "Results go to standard output, messages and the progress bar to standard error; the bar is "
      "drawn only on a terminal and only when the work takes more than a second. A file that cannot "
      "be used gives one line on standard error, and the rest is still done. Files are written whole "
      "or not at all. Boxes are x0,y0,x1,y1 and landmarks x,y in px of the upright picture, from its "
      "upper left corner; landmarks are the subject's right eye, left eye, nose tip, right and left "
      "mouth corner." },
    { "Pictures",
      "JPEG, PNG, WebP and HEIC, told apart by their content and not by their name; the EXIF "
      "orientation is honoured. Folders are walked recursively in the order of their names. Limits "
      "on bytes, pixels and sides are checked before anything is decoded; --sandbox decodes in a "
      "confined process. `mien doctor` lists the formats of this machine." },
    { "Models",
      "--model and --detector take a path (.mien, .onnx, .xml) or a name. Names are looked for in the "
      "folders of MIEN_MODELS, in the user's model folder, in models/ beside the program, and in the "
      "installed folder. `mien model list` shows what is known and what is here; `mien model pull "
      "NAME` downloads one." },
    { "Decisions",
      "Similarity is the cosine of two embeddings, from -1 to 1, higher is more alike. Two faces are "
      "the same person when it reaches the threshold that belongs to the model and to the false match "
      "rate asked for (--fmr): the fraction of pairs of strangers that would pass. Every decision is "
      "printed with both, and with how many strangers would look as alike as these two do." },
    { "Galleries", "A gallery is a file with people, the templates of their faces and what may be done with "
                   "them. Each decision "
                   "about a face in it, a person or unknown, is made at a stated share of strangers that may "
                   "pass for somebody "
                   "(--fpir), whatever the number of people. Pictures are not kept unless asked for; what is "
                   "removed is gone, "
                   "with a receipt. The passphrase of an encrypted gallery is asked for, or comes from "
                   "MIEN_PASSPHRASE, or "
                   "--key-file names a key; never is it on the command line." },
    { "Face recognition tools",
      "Called under the name face_recognition or face_detection (a link to the program will do), mien "
      "takes the arguments and prints the CSV of the Python tools of these names. The distance shown "
      "there is scaled so that their usual tolerance, 0.6, is this program's calibrated threshold: "
      "distance = 0.6 * d / d0, with d the Euclidean distance of the unit embeddings and d0 that at "
      "the threshold." },
    { "Environment", " MIEN_MODELS     folders with models, parted by colons\n"
                     " MIEN_PASSPHRASE the passphrase of an encrypted gallery; MIEN_NEW_PASSPHRASE:\n"
                     "                 the new one in `gallery rekey`\n"
                     " MIEN_MIRROR     base address that replaces the host in `model pull`\n"
                     " MIEN_CPU        cap on the instruction set: scalar, sse2, avx2\n"
                     " XDG_DATA_HOME   the user's data; models are in its mien/models" },
    { "Exit status", " 0  yes, found, done\n"
                     " 1  no, none found\n"
                     " 2  the command line is wrong\n"
                     " 3  a file given could not be used (the rest was done)\n"
                     " 4  a model is missing or unusable\n"
                     " 5  out of memory, output not writable, a fault of the program" },
};

const cli_section *cli_section_at(size_t index)
{
    return index < CLI_COUNTOF(sections) ? &sections[index] : NULL;
}
