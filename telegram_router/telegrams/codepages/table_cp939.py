"""cp939, made from IBM939 of the GNU C library by tests/telegrams/iconv_oracle.py. See packed.py."""

SINGLE = (
    "c-muN0D}Ke2m}AYod0lv|Hw27@gE_{h^7gq0LfTPOa7xMMgb7M!UJT>!R&u%7GTqcQvh9>5eR1H*8Y_E##qb9$iTo1<afPjuAj(Q`L`FyP6R1v<7LSO(Upvh"
    "os6wOb&Ppaz}(InHU>vV2(aqmd&3;K${EUK+`!ECU#PH=2`0d>`KQ%=Mr)Y#y<0D3pNl<Zu!jjqK~z10@x>vgIDCcjMHv}SnKPbtWqJ=&!Fa%t@y;<A2jU--"
    "v#5M7hVLl+Ym6xJX#l7IQ+N"
)
