/* All routes. A new one is a row in its file's table. */
#include "api.h"

extern const api_route api_web[], api_system[], api_people[], api_enrol[], api_recognise[], api_compat[],
    api_compat_people[], api_events[], api_sets[], api_jobs[], api_album[], api_eval[], api_calibration[], api_train[];

const api_route *const api_tables[] = { api_system,        api_recognise, api_people, api_enrol, api_compat,
                                        api_compat_people, api_events,    api_sets,   api_jobs,  api_album, api_eval, api_calibration, api_train, api_web,
                                        NULL };
